import asyncio

import pytest

from benchmarks.load.plan import Wishes
from benchmarks.scenarios.broadcast import SCENARIO
from benchmarks.scenarios.scenario import Observation
from tests.unit.benchmarks.fake_casino import FakeCasino
from tests.unit.benchmarks.fake_table import FakeTable
from tests.unit.benchmarks.scenarios.performance import performed


async def test_every_tick_on_every_connection_is_a_delivery() -> None:
    table = FakeTable(rounds=500, low=100, high=10**12, betting_s=0.1)
    async with FakeCasino(table=table) as casino:

        async def listen() -> None:
            while table.subscriptions < 12:
                await asyncio.sleep(0.02)
            casino.open_table()
            await asyncio.sleep(1.0)

        result = await performed(
            SCENARIO, casino.url, Wishes(connections=12, duration_s=60, warm_up_s=0), listen
        )
    assert (result.figures["listening"], result.figures["silent"]) == (12, 0)
    assert result.answers == result.arrivals > 12
    assert set(result.kinds) == {"tick"}


def test_what_a_delivery_costs() -> None:
    assert SCENARIO.conclude is not None
    seen = Observation(10, 5_000, {}, {}, {"gateway": 0.5, "session host": 0.5}, None)
    assert SCENARIO.conclude(seen) == {
        "deliveries_per_cpu_s": pytest.approx(5_000),
        "gateway_deliveries_per_cpu_s": pytest.approx(10_000),
    }
    assert SCENARIO.conclude(seen._replace(cpu_s={})) == {}
