import asyncio

from benchmarks.load.plan import Wishes
from benchmarks.scenarios.journey import SCENARIO
from tests.unit.benchmarks.fake_casino import FakeCasino, Faults
from tests.unit.benchmarks.fake_table import FakeTable
from tests.unit.benchmarks.scenarios.performance import performed

SHORT = Wishes(rate=5, duration_s=1.0, warm_up_s=0.0)


async def a_day(faults: Faults | None = None, **options: object):
    table = FakeTable(rounds=500, low=100, high=10**12, betting_s=0.3)
    async with FakeCasino(faults, table=table) as casino:

        async def go_by() -> None:
            casino.open_table()
            await asyncio.sleep(SHORT.duration_s or 0.0)
            while casino.seen["place_crash_bet"] < 5 and not faults:
                await asyncio.sleep(0.02)

        return casino, await performed(SCENARIO, casino.url, SHORT, go_by, **options)


async def test_a_whole_day_of_every_arrival() -> None:
    casino, result = await a_day()
    assert result.arrivals == result.answers > 5 * 10
    assert result.errors == {}
    assert {"sign_up", "connect", "streak", "spin"} <= set(result.kinds) <= set(SCENARIO.kinds)
    assert casino.seen["claim_streak"] == 5
    assert casino.seen["place_crash_bet"] == 5
    assert result.figures["days"] == 5
    assert result.reconnects >= 5
    assert result.event_gaps == 0


async def test_a_day_that_goes_wrong_is_an_error() -> None:
    _, result = await a_day(Faults(internal=4), drain_s=5.0)
    assert result.errors["internal"] > 0
    assert result.figures["days"] < 5


async def test_more_players_than_are_allowed_are_turned_away() -> None:
    _, result = await a_day(Faults(lose_reply=1), players=2, drain_s=0.5)
    assert result.errors["too_many_at_once"] == 3
