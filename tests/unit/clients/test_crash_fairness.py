from collections.abc import Callable

import httpx
import msgspec
import pytest

from clients.crash_fairness import RoundChecker, fetch_crash_fairness
from clients.errors import ConnectionLost, ProtocolViolation, UnfairRound
from tests.unit.clients.crash_house import CrashHouse

HOUSE = CrashHouse(length=20, first_round=101)


def check(checker: RoundChecker, round: int) -> None:
    checker.check(round, HOUSE.hash(round), HOUSE.crash_point(round))


def test_honest_rounds_are_proved_in_any_order_and_with_gaps() -> None:
    checker = RoundChecker(HOUSE.fairness(101))
    for round in (101, 102, 108, 104, 108, 120, 101):
        check(checker, round)
    assert checker.proved_round == 120


@pytest.mark.parametrize("round", [101, 102, 115, 120, 121])
def test_what_is_published_is_proved_from_the_terminating_hash(round: int) -> None:
    checker = RoundChecker(HOUSE.fairness(round))
    checker.check_published()
    assert checker.proved_round == round - 1


def test_before_its_first_round_a_chain_has_nothing_to_prove() -> None:
    checker = RoundChecker(HOUSE.fairness(0))
    checker.check_published()
    assert checker.proved_round == 100
    check(checker, 103)


@pytest.mark.parametrize(
    "lie",
    [
        {"previous_hash": "ab" * 32},
        {"previous_hash": "nonsense"},
        {"terminating_hash": "ab" * 32},
        {"previous_hash": HOUSE.hash(103)},
        {"first_round": 100},
    ],
)
def test_a_published_hash_of_no_chain_is_found(lie: dict[str, object]) -> None:
    checker = RoundChecker(HOUSE.fairness(105, **lie))
    with pytest.raises(UnfairRound) as raised:
        checker.check_published()
    assert raised.value.table == "main"


@pytest.mark.parametrize("proved", [101, 105, 110])
def test_a_hash_that_was_not_fixed_beforehand_is_found(proved: int) -> None:
    checker = RoundChecker(HOUSE.fairness(proved))
    checker.check_published()
    for wrong in (HOUSE.hash(106), "ab" * 32, "cd" * 31, "not hex at all"):
        with pytest.raises(UnfairRound) as raised:
            checker.check(107, wrong, HOUSE.crash_point(107))
        assert raised.value.round == 107
    check(checker, 107)


def test_a_crash_point_that_is_not_of_its_hash_is_found() -> None:
    checker = RoundChecker(HOUSE.fairness(101))
    wrong = HOUSE.crash_point(101) + 0.01
    with pytest.raises(UnfairRound, match=f"crashed at {wrong:.2f}"):
        checker.check(101, HOUSE.hash(101), wrong)


def test_another_salt_gives_other_crash_points() -> None:
    checker = RoundChecker(HOUSE.fairness(101, salt="00" * 32))
    with pytest.raises(UnfairRound, match="with the salt 0000"):
        check(checker, 101)


def test_a_chain_covers_its_rounds() -> None:
    checker = RoundChecker(HOUSE.fairness(101))
    assert [round for round in range(90, 130) if checker.covers(round)] == list(range(101, 121))


@pytest.mark.parametrize("lie", [{"salt": "no"}, {"salt": ""}, {"terminating_hash": "00"}])
def test_what_is_no_chain_is_a_violation(lie: dict[str, object]) -> None:
    with pytest.raises(ProtocolViolation, match="main"):
        RoundChecker(HOUSE.fairness(101, **lie))


def answering(respond: Callable[[httpx.Request], httpx.Response]) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.MockTransport(respond))


async def test_it_is_asked_for_over_http() -> None:
    def respond(request: httpx.Request) -> httpx.Response:
        assert str(request.url) == "http://house/api/games/crash/fairness?table=main"
        published = {**msgspec.to_builtins(HOUSE.fairness(103)), "later": 1}
        return httpx.Response(200, json=published)

    assert await fetch_crash_fairness("http://house", "main", answering(respond)) == HOUSE.fairness(103)


@pytest.mark.parametrize(
    ("response", "error"),
    [
        (httpx.Response(503), ConnectionLost),
        (httpx.Response(429), ConnectionLost),
        (httpx.Response(404, text="no table"), ProtocolViolation),
        (httpx.Response(200, text="<html>"), ProtocolViolation),
        (httpx.Response(200, json={"table": "main"}), ProtocolViolation),
    ],
)
async def test_answers_that_do_not_help(response: httpx.Response, error: type[Exception]) -> None:
    with pytest.raises(error, match="main"):
        await fetch_crash_fairness("http://house", "main", answering(lambda _: response))


async def test_nobody_there() -> None:
    def respond(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    with pytest.raises(ConnectionLost, match="refused"):
        await fetch_crash_fairness("http://house", "main", answering(respond))
