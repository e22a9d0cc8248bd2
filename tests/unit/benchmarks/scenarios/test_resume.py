import asyncio

from benchmarks.load.plan import Wishes
from benchmarks.scenarios.resume import SCENARIO
from tests.unit.benchmarks.fake_casino import FakeCasino
from tests.unit.benchmarks.scenarios.performance import performed

SHORT = Wishes(connections=6, duration_s=1.0, warm_up_s=0.0)


async def test_everybody_is_cut_off_and_comes_back() -> None:
    async with FakeCasino() as casino:
        result = await performed(SCENARIO, casino.url, SHORT)
        spins = [command_id for _, command_id, reply in casino.journal if "payout" in reply]
    assert result.figures["storms"] >= 1
    assert result.figures["all_live_ms"] > 0
    assert (result.figures["missing"], result.figures["snapshots"]) == (0, 0)
    assert result.answers == result.arrivals == 6 * result.figures["storms"]
    assert result.reconnects >= 6
    assert len(spins) == len(set(spins))


async def test_an_event_that_is_missing_is_found() -> None:
    async with FakeCasino() as casino:

        async def leave_one_out() -> None:
            while not casino.journal or any(player.nonce == 0 for player in casino.players.values()):
                await asyncio.sleep(0.02)
            await asyncio.sleep(0.3)
            for player in casino.players.values():
                player.seq += 1
                casino.push(player, "profile_update", {"changes": {"gold_balance": player.gold}})
            await asyncio.sleep(0.3)

        result = await performed(SCENARIO, casino.url, SHORT, leave_one_out)
    assert result.figures["missing"] > 0


async def test_a_server_that_has_forgotten_the_events_is_found() -> None:
    async with FakeCasino() as casino:
        casino.forget_events = True
        result = await performed(SCENARIO, casino.url, SHORT)
    assert result.figures["snapshots"] >= 6
