import msgspec
import pytest

from actors.crash.hashes import ChainExhausted
from actors.crash.round import Phase, TableRules
from actors.crash.table import CrashTable
from actors.games.crash import elapsed_until, elapsed_until_above, multiplier_at
from runtime.errors import Rejected
from runtime.identity import Dedicated, shard_of
from tests.unit.actors.crash.floor import Table, at, finish, opened, pushed, settlements, start


def test_what_the_runtime_asks_of_a_table() -> None:
    table = Table()
    behavior = table.behavior
    assert behavior.kind == "crash"
    assert behavior.placement == Dedicated()
    assert shard_of(table.actor, behavior.placement) == "crash@main"
    assert behavior.always_on
    assert behavior.tick_interval_ms == 100
    assert behavior.snapshot_interval_turns == 500
    assert list(behavior.tables) == ["main"]
    audiences = {name: spec.audience for name, spec in behavior.commands.items()}
    assert {name for name, audience in audiences.items() if audience == "public"} == {
        "get_crash_history",
        "get_crash_fairness",
    }
    assert "player" not in audiences.values()


def test_a_bet_is_taken() -> None:
    table = opened(200)
    decision = table.bet("ann", 10, 150, number=7)
    assert msgspec.to_builtins(decision.reply) == {"round": 1, "bet": 7, "stake": 10, "auto": 150}
    assert decision.pushes == ()
    assert table.state.staked == table.state.open_stakes == 10


def test_bets_that_are_refused() -> None:
    table = opened(200, stake_min=5, stake_max=100, liability_max=250, bets_max=3)
    take = {"bet": 1, "stake": 10, "auto": None}
    assert table.rejection("take_crash_bet", **take) == "crash_not_genuine"
    assert table.rejection("take_crash_bet", "crash/main", **take) == "crash_not_genuine"
    # Which role may stake how much is the session's to know; no role may stake more than this.
    for stake in (4, 1_001):
        refused = table.rejection("take_crash_bet", "session/ann", **(take | {"stake": stake}))
        assert refused == "stake_out_of_range"
    table.bet("ann", 100)
    assert table.rejection("take_crash_bet", "session/ann", **take) == "bet_already_placed"
    table.bet("ben", 100)
    # 51 more, and the round could not reach 2.00×.
    refused = table.rejection("take_crash_bet", "session/cid", **(take | {"stake": 51}))
    assert refused == "table_full"
    table.bet("cid", 50)
    assert table.rejection("take_crash_bet", "session/dan", **take) == "table_full"


def test_a_table_has_so_many_places() -> None:
    table = opened(200, bets_max=2)
    table.bet("ann", 1)
    table.bet("ben", 1)
    assert table.rejection("take_crash_bet", "session/cid", bet=1, stake=1, auto=None) == "table_full"


def test_bets_are_taken_until_the_time_is_over_even_if_the_alarm_is_late() -> None:
    table = opened(200)
    take = {"bet": 1, "stake": 10, "auto": None}
    table.now_ms = table.state.betting_ends_ms - 1
    table.bet("ann", 10)
    table.now_ms += 1
    assert table.rejection("take_crash_bet", "session/ben", **take) == "betting_closed"
    for phase in (Phase.RUNNING, Phase.CRASHED, Phase.PAUSE):
        table.run_until_phase(phase)
        assert table.rejection("take_crash_bet", "session/ben", **take) == "betting_closed"


@pytest.mark.parametrize("auto", [100, 100_000_001, 1.5])
def test_targets_off_the_grid_are_refused_at_the_door(auto) -> None:
    with pytest.raises(msgspec.ValidationError):
        opened(200).bet("ann", 10, auto)


def test_a_cash_out_pays_the_multiplier_of_its_moment() -> None:
    table = opened(300)
    table.bet("ann", 99)
    at(start(table), 10_000)
    decision = table.cash_out("ann")
    assert multiplier_at(10_000) == 182
    assert msgspec.to_builtins(decision.reply) == {
        "multiplier": 182,
        "payout": 180,
        "round": 1,
        "bet": 1,
        "stake": 99,
    }
    assert decision.sends == ()
    assert settlements(finish(table)) == {}


def test_cash_outs_that_are_refused() -> None:
    table = opened(300, 300)
    table.bet("ann", 10, number=3)
    table.bet("ben", 10)

    def refused(user="session/ann", **changes) -> str:
        return table.rejection("take_crash_cash_out", user, **(table.cash_out_data(3) | changes))

    assert refused(None) == "crash_not_genuine"
    assert refused() == "round_not_running"
    table.now_ms = table.state.betting_ends_ms
    assert refused() == "round_not_running"
    start(table)
    assert refused() == "cash_out_too_early"
    at(table, elapsed_until(101) - 1)
    assert refused() == "cash_out_too_early"
    at(table, elapsed_until(101))
    assert refused("session/cid") == "no_open_bet"
    assert refused("session/ben") == "no_open_bet"
    assert refused(bet=4) == "no_open_bet"
    assert refused(round=2) == "no_open_bet"
    assert refused(escrow="escrow:crash:main:2") == "no_open_bet"
    assert table.cash_out("ann", 3).reply.multiplier == 101
    assert refused() == "no_open_bet"
    at(table, elapsed_until_above(300))
    ben = table.cash_out_data()
    assert table.rejection("take_crash_cash_out", "session/ben", **ben) == "round_over"
    for phase in (Phase.CRASHED, Phase.PAUSE, Phase.BETTING):
        table.run_until_phase(phase)
        assert table.rejection("take_crash_cash_out", "session/ben", **ben) == "round_over"


def test_the_crash_point_itself_still_wins_and_the_next_ms_loses() -> None:
    table = opened(300)
    table.bet("ann", 10)
    table.bet("ben", 10)
    at(start(table), elapsed_until_above(300) - 1)
    assert table.cash_out("ann").reply.multiplier == 300
    at(table, elapsed_until_above(300))
    assert table.rejection("take_crash_cash_out", "session/ben", **table.cash_out_data()) == "round_over"


def test_a_cash_out_by_hand_is_never_beyond_the_target() -> None:
    table = opened(300)
    table.bet("ann", 100, 150)
    at(start(table), elapsed_until(200))
    assert table.cash_out("ann").reply.payout == 150


def test_a_target_that_was_reached_is_paid_after_the_crash_too() -> None:
    table = opened(300)
    table.bet("ann", 100, 300)
    at(start(table), elapsed_until_above(300) + 5_000)
    assert table.cash_out("ann").reply.multiplier == 300


def test_nobody_wins_a_round_that_crashes_at_the_start() -> None:
    table = opened(100)
    table.bet("ann", 10, 101)
    start(table)
    assert table.rejection("take_crash_cash_out", "session/ann", **table.cash_out_data()) == "round_over"
    assert table.alarm().at_ms == table.now_ms == table.state.started_ms
    assert settlements(finish(table)) == {"session/ann": (None, 0)}


def test_at_a_forced_end_all_open_bets_are_paid() -> None:
    table = opened(500, liability_max=200)
    table.bet("ann", 100, 600)
    table.bet("ben", 100)
    start(table)
    decisions = finish(table)
    (_, crashed) = next(push for push in pushed(decisions) if push[0] == "crash_crashed")
    assert (crashed["ended"], crashed["multiplier"], crashed["crash_point"]) == ("forced", 2.0, 5.0)
    assert crashed["paid"] == 400
    assert settlements(decisions) == {"session/ann": (200, 200), "session/ben": (200, 200)}


def test_a_cash_out_makes_room_for_the_others() -> None:
    table = opened(500, liability_max=200)
    table.bet("ann", 100)
    table.bet("ben", 100)
    at(start(table), elapsed_until(150))
    table.cash_out("ann")
    assert settlements(finish(table)) == {"session/ben": (250, 250)}


def test_who_cashes_out_after_a_forced_end_gets_what_all_others_get() -> None:
    """Rounding leaves a little room, which would be more for each of the others."""
    table = opened(500, liability_max=350)
    for user in ("ann", "ben", "cid"):
        table.bet(user, 100)
    at(start(table), elapsed_until(216) + 3_000)
    assert table.cash_out("ann").reply.multiplier == 216
    assert table.cash_out("ben").reply.multiplier == 216
    assert settlements(finish(table)) == {"session/cid": (216, 216)}


class NoChain:
    def hash_of(self, table: str, round_number: int) -> bytes:
        raise ChainExhausted

    salt_of = public = hash_of


def test_a_table_without_a_chain() -> None:
    table = Table()
    table.behavior = CrashTable({"main": TableRules()}, NoChain())
    with pytest.raises(Rejected, match="out_of_hashes"):
        table.fire()
    assert table.behavior.rounds_left(table.state) == 0
    assert table.rejection("get_crash_fairness") == "out_of_hashes"


def test_a_process_that_holds_no_chains_fails_loudly() -> None:
    table = Table(200)
    table.behavior = CrashTable({"main": TableRules()}, None)
    with pytest.raises(RuntimeError, match="no hash chains"):
        table.fire()
    with pytest.raises(RuntimeError, match="no hash chains"):
        table.give("get_crash_fairness")


def test_a_table_that_nobody_has_set_up() -> None:
    table = Table(200)
    table.behavior = CrashTable({"other": TableRules()}, table.chains)
    assert table.alarm() is None
    assert table.rejection("take_crash_bet", "session/ann", bet=1, stake=1, auto=None) == "unknown_table"
    assert table.rejection("get_crash_fairness") == "unknown_table"
    assert table.behavior.view(table.state).phase == "pause"


def test_a_name_that_no_table_can_have() -> None:
    with pytest.raises(ValueError, match="not the name"):
        CrashTable({"a:b": TableRules()}, None)
