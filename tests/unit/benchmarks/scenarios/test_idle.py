import asyncio

import pytest

from benchmarks.load.plan import Wishes
from benchmarks.scenarios.idle import SCENARIO
from benchmarks.scenarios.scenario import Observation
from tests.unit.benchmarks.fake_casino import FakeCasino
from tests.unit.benchmarks.scenarios.performance import performed


async def test_connections_are_opened_at_the_rate_and_held() -> None:
    async with FakeCasino() as casino:
        seen: list[int] = []

        def sockets() -> int:
            return sum(connection.upgraded for connection in casino.connections)

        async def look() -> None:
            while sockets() < 25:
                seen.append(sockets())
                await asyncio.sleep(0.02)
            await asyncio.sleep(0.2)
            assert sockets() == 25

        result = await performed(SCENARIO, casino.url, Wishes(connections=25, rate=100, duration_s=0.2), look)
        assert casino.commands == 0
        assert casino.sign_ups == 3, "ten connections share a guest"
    assert (result.arrivals, result.answers) == (25, 25)
    assert len(set(seen)) > 3, "not all at once"


async def test_who_is_not_let_in_is_an_error() -> None:
    async with FakeCasino() as casino:
        casino.refuse_tokens = True
        result = await performed(SCENARIO, casino.url, Wishes(connections=5, rate=100, duration_s=0.5))
    assert result.answers == 0
    assert result.errors["not_connected"] == 5


def test_what_a_connection_costs() -> None:
    assert SCENARIO.conclude is not None
    figures = SCENARIO.conclude(
        Observation(
            connections=100,
            answers=100,
            memory_before={"gateway": 50_000, "session host": 9_000},
            memory_after={"gateway": 1_050_000, "session host": 109_000},
            cpu_s={},
            idle_cpu_share=0.02,
        )
    )
    assert figures == {
        "connection_bytes": 11_000,
        "gateway_connection_bytes": 10_000,
        "idle_cpu_share": 0.02,
        "idle_cpu_us": pytest.approx(200),
    }
