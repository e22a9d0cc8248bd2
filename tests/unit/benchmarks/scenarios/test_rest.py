"""Against the real interface, over fakes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from benchmarks.load.plan import Wishes
from benchmarks.measurements import quantiles_of
from benchmarks.scenarios.rest import SCENARIO
from gateway.rate_limit import LocalRateLimiter
from gateway.server import GatewayServer
from tests.unit.benchmarks.scenarios.performance import performed
from tests.unit.gateway.fakes import FakeClock
from tests.unit.gateway.house import House

SHORT = Wishes(rate=100, duration_s=0.5, warm_up_s=0.0, connections=3, seed=1)


@pytest.fixture
async def house() -> AsyncIterator[tuple[House, str]]:
    house = House(rate_limiter=LocalRateLimiter(FakeClock(), 1000, 1))
    server = GatewayServer(house.parts)
    await server.start("127.0.0.1", 0)
    try:
        yield house, f"http://127.0.0.1:{server.port}"
    finally:
        await server.stop()


async def test_every_request_of_the_schedule_is_measured(house: tuple[House, str]) -> None:
    parts, url = house
    result = await performed(SCENARIO, url, SHORT)
    assert (result.arrivals, result.answers, result.errors) == (50, 50, {})
    assert set(result.kinds) == {"read", "write"}
    keys = [command_id for _, command_id, name in parts.commands() if name in ("spin_slots", "log_action")]
    assert len(keys) == len(set(keys)) > 10, "each is another command"
    assert len({user for user, _, _ in parts.commands()}) == 3


async def test_the_schedule_does_not_wait_for_answers(
    house: tuple[House, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    parts, url = house
    answers: list[asyncio.TimerHandle] = []
    submit = parts.router.submit

    def slowly(*arguments, **more) -> None:
        loop = asyncio.get_running_loop()
        answers.append(loop.call_later(0.4, lambda: submit(*arguments, **more)))

    monkeypatch.setattr(parts.router, "submit", slowly)
    result = await performed(SCENARIO, url, SHORT)
    assert result.answers == 50
    assert min(quantiles_of([kind]).p50_ms for kind in result.kinds.values()) >= 390


async def test_refusals_are_failures(house: tuple[House, str], monkeypatch: pytest.MonkeyPatch) -> None:
    parts, url = house
    parts.router.state("u_standard")

    def broken(*_, **__) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(parts.router, "submit", broken)
    result = await performed(SCENARIO, url, SHORT)
    assert result.answers == 0
    assert sum(result.errors.values()) == 50
