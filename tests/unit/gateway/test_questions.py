"""Asking actors over HTTP: failures become problems, and a crowd asks once."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gateway.fanout import Fanout
from gateway.problems import Problem
from gateway.questions import SharedAnswers, ask
from runtime.stream import Failure
from tests.unit.gateway.fakes import MAIN, FakeClock, FakeRouter, unpack


@pytest.fixture
def router() -> FakeRouter:
    router = FakeRouter(Fanout())
    router.replies = {"get_crash_history": {"rounds": [1]}}
    return router


async def test_an_answer(router: FakeRouter) -> None:
    for _ in range(2):
        assert await ask(router, MAIN, "get_crash_history", {"limit": 5}) == {"rounds": [1]}
    (actor, first_id, name, data), (_, second_id, _, _) = router.submitted
    assert (actor, name, unpack(data)) == (MAIN, "get_crash_history", {"limit": 5})
    assert first_id != second_id


@pytest.mark.parametrize(
    ("code", "retryable", "status"),
    [
        ("unavailable", True, 503),
        ("overloaded", True, 503),
        ("rejected", False, 409),
        ("out_of_hashes", False, 409),
        ("invalid_data", False, 422),
        ("internal", False, 500),
    ],
)
async def test_failures(router: FakeRouter, code: str, retryable: bool, status: int) -> None:
    router.replies = {"get_crash_history": Failure(0, code, "why", retryable)}
    with pytest.raises(Problem) as caught:
        await ask(router, MAIN, "get_crash_history", {})
    assert (caught.value.status, caught.value.code, caught.value.detail) == (status, code, "why")
    assert caught.value.headers == ({"Retry-After": "1"} if retryable else None)


async def test_who_asks_may_hang_up(router: FakeRouter) -> None:
    router.is_silent = True
    asking = asyncio.ensure_future(ask(router, MAIN, "get_crash_history", {}))
    await asyncio.sleep(0)
    asking.cancel()
    await asyncio.sleep(0)
    router.waiting[0]()
    assert asking.cancelled()


async def test_a_crowd_asks_once(router: FakeRouter) -> None:
    clock = FakeClock()
    answers = SharedAnswers(router, clock, kept_s=0.5)

    async def asked() -> Any:
        return await answers.ask(MAIN, "get_crash_history", {})

    assert await asyncio.gather(*(asked() for _ in range(50))) == [{"rounds": [1]}] * 50
    clock.seconds += 0.4
    await asked()
    assert len(router.submitted) == 1
    clock.seconds += 0.2
    router.replies["get_crash_history"] = {"rounds": [2]}
    assert await asked() == {"rounds": [2]}
    assert len(router.submitted) == 2
    router.replies["get_crash_fairness"] = {"salt": ""}
    assert await answers.ask(MAIN, "get_crash_fairness", {}) == {"salt": ""}


async def test_a_question_under_way_is_not_put_again(router: FakeRouter) -> None:
    clock = FakeClock()
    answers = SharedAnswers(router, clock, kept_s=0.5)
    router.is_silent = True
    first = asyncio.ensure_future(answers.ask(MAIN, "get_crash_history", {}))
    await asyncio.sleep(0)
    clock.seconds += 60
    second = asyncio.ensure_future(answers.ask(MAIN, "get_crash_history", {}))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.sleep(0)
    (answer,) = router.waiting
    answer()
    assert await second == {"rounds": [1]}, "one that hangs up does not take it from the others"


async def test_a_crowd_shares_a_refusal_too(router: FakeRouter) -> None:
    clock = FakeClock()
    answers = SharedAnswers(router, clock, kept_s=0.5)
    router.replies["get_crash_history"] = Failure(0, "unavailable", "", True)
    for _ in range(3):
        with pytest.raises(Problem):
            await answers.ask(MAIN, "get_crash_history", {})
    assert len(router.submitted) == 1
    clock.seconds += 0.6
    router.replies["get_crash_history"] = {"rounds": []}
    assert await answers.ask(MAIN, "get_crash_history", {}) == {"rounds": []}
