from benchmarks.load.plan import Wishes
from benchmarks.scenarios.spin import SCENARIO
from tests.unit.benchmarks.fake_casino import FakeCasino, Faults
from tests.unit.benchmarks.scenarios.performance import performed

SHORT = Wishes(rate=200, duration_s=0.5, warm_up_s=0.1, connections=4)


async def test_every_arrival_is_one_spin_of_the_next_player() -> None:
    async with FakeCasino() as casino:
        result = await performed(SCENARIO, casino.url, SHORT)
        spins = [entry for entry in casino.journal if "payout" in entry[2]]
    assert (result.arrivals, result.answers, result.errors) == (100, 100, {})
    assert len(spins) == 120, "the warm-up is played as well"
    assert len({command_id for _, command_id, _ in spins}) == 120
    assert {user: sum(entry[0] == user for entry in spins) for user in casino.players} == dict.fromkeys(
        casino.players, 30
    )
    assert result.event_gaps == 0


async def test_a_connection_that_breaks_costs_time_and_nothing_else() -> None:
    async with FakeCasino(Faults(drop_before=40)) as casino:
        result = await performed(SCENARIO, casino.url, SHORT)
    assert (result.arrivals, result.answers, result.errors) == (100, 100, {})
    assert result.reconnects > 0


async def test_final_errors_are_counted_and_no_answers() -> None:
    async with FakeCasino(Faults(internal=10)) as casino:
        result = await performed(SCENARIO, casino.url, SHORT)
    assert result.errors["internal"] == sum(part.failures for part in result.slices)
    assert result.answers + result.errors["internal"] == result.arrivals == 100


async def test_what_finds_too_many_unanswered_is_dropped() -> None:
    async with FakeCasino(Faults(lose_reply=1)) as casino:
        result = await performed(SCENARIO, casino.url, SHORT, in_flight_max=15, drain_s=0.0)
    assert result.answers == 0
    assert result.errors["dropped"] >= 85


async def test_a_closed_loop_has_one_command_in_flight() -> None:
    async with FakeCasino() as casino:
        result = await performed(SCENARIO, casino.url, Wishes(closed=3, duration_s=0.4, warm_up_s=0.1))
        assert len(casino.players) == 3
    assert result.answers == result.arrivals > 20
    assert result.errors == {}
