import asyncio

from benchmarks.load.plan import Wishes
from benchmarks.scenarios.crash import SCENARIO
from tests.unit.benchmarks.fake_casino import FakeCasino
from tests.unit.benchmarks.fake_table import FakeTable
from tests.unit.benchmarks.scenarios.performance import performed


async def test_bets_cash_outs_and_ticks_are_measured() -> None:
    table = FakeTable(rounds=3)
    async with FakeCasino(table=table) as casino:

        async def play() -> None:
            while table.subscriptions < 8:
                await asyncio.sleep(0.02)
            casino.open_table()
            while not casino.seen["place_crash_bet"]:
                await asyncio.sleep(0.02)
            await asyncio.sleep(0.5)

        result = await performed(
            SCENARIO, casino.url, Wishes(connections=8, duration_s=60.0), play, drain_s=10.0
        )
    assert result.figures["violations"] == 0
    assert result.figures["bets"] > 0
    assert result.errors == {}
    assert "bet" in result.kinds
    assert "tick" in result.kinds
    operations = sum(part.answers for part in result.slices)
    assert operations == result.answers > 0, "ticks are not among them"
