from hashlib import sha256

import msgspec

from actors.crash.round import Phase
from actors.games.crash import elapsed_until, elapsed_until_above
from tests.unit.actors.crash.floor import START_MS, Table, at, finish, opened, pushed, start


def test_one_event_names_twenty_five_and_the_totals_tell_of_the_others() -> None:
    table = opened(300)
    for number in range(60):
        table.bet(f"u{number}", 10, 150)
    ((_, placed),) = pushed([table.fire_in_time()])
    assert len(placed["bets"]) == 25
    assert (placed["players"], placed["staked"]) == (60, 600)
    start(table)
    decisions = table.run_until(table.state.started_ms + elapsed_until(150))
    ((_, cashed_out),) = [push for push in pushed(decisions) if push[0] == "crash_cashed_out"]
    assert len(cashed_out["cash_outs"]) == 25
    assert cashed_out["cash_outs"][0] == {"user_id": "u0", "multiplier": 1.5, "payout": 15}
    assert (cashed_out["cashed_out"], cashed_out["paid"]) == (60, 900)


def test_the_start_shows_the_last_bets_first() -> None:
    table = opened(300)
    table.now_ms = table.state.betting_ends_ms - 10
    table.bet("ann", 10)
    types = [push[0] for push in pushed(table.run_until_phase(Phase.RUNNING))]
    assert types == ["crash_bets_placed", "crash_started"]


def test_the_end_shows_the_last_cash_outs_first_and_reveals_the_hash() -> None:
    table = opened(300)
    table.bet("ann", 10)
    table.bet("ben", 10)
    at(start(table), elapsed_until(300))
    table.cash_out("ann")
    (_, cashed_out), (_, crashed) = pushed(table.run_until_phase(Phase.CRASHED))
    assert cashed_out["cash_outs"] == [{"user_id": "ann", "multiplier": 3.0, "payout": 30}]
    assert crashed == {
        "table": "main",
        "round": 1,
        "crash_point": 3.0,
        "hash": table.chains.hashes[0].hex(),
        "previous_hash": sha256(table.chains.hashes[0]).hexdigest(),
        "ended": "crashed",
        "multiplier": 3.0,
        "players": 2,
        "staked": 20,
        "paid": 30,
    }


def test_ticks_are_of_the_running_round_only() -> None:
    table = opened(300)
    tick = table.behavior.tick
    assert tick(table.state, table.now_ms) is None
    start(table)
    started_ms = table.state.started_ms
    shown = msgspec.to_builtins(tick(table.state, started_ms + 10_000).data)
    assert shown == {"table": "main", "round": 1, "elapsed_ms": 10_000, "multiplier": 1.82}
    assert tick(table.state, started_ms - 3).data.elapsed_ms == 0
    last_ms = started_ms + elapsed_until_above(300) - 1
    assert tick(table.state, last_ms).data.multiplier == 3.0
    assert tick(table.state, last_ms + 1) is None
    finish(table)
    assert tick(table.state, table.now_ms) is None


def test_the_view() -> None:
    table = opened(300, 200)
    table.bet("ann", 10, 150)
    table.bet("ben", 10)
    start(table)
    table.run_until(table.state.started_ms + elapsed_until(150))
    view = msgspec.to_builtins(table.behavior.view(table.state))
    assert view == {
        "table": "main",
        "round": 1,
        "phase": "running",
        "betting_ends_ms": START_MS + 5_000,
        "started_ms": START_MS + 5_000,
        "next_round_ms": None,
        "players": 2,
        "staked": 20,
        "bets": [
            {"user_id": "ann", "stake": 10, "auto_cash_out": 1.5, "multiplier": 1.5, "payout": 15},
            {"user_id": "ben", "stake": 10, "auto_cash_out": None, "multiplier": None, "payout": 0},
        ],
        "history": [],
        "previous_hash": sha256(table.chains.hashes[0]).hexdigest(),
        "stake_min": 1,
        "stake_max": 100_000,
    }
    finish(table)
    view = msgspec.to_builtins(table.behavior.view(table.state))
    assert (view["phase"], view["next_round_ms"]) == ("pause", table.state.ended_ms + 3_000)
    assert [entry["round"] for entry in view["history"]] == [1]
    assert table.behavior.describe(table.state) == "main: round 1 pause, 2 bets, 20 staked"


def test_the_view_shows_a_hundred_bets() -> None:
    table = opened(300)
    for number in range(120):
        table.bet(f"u{number}", 1)
    view = table.behavior.view(table.state)
    assert (len(view.bets), view.players) == (100, 120)


def test_the_history_keeps_a_hundred_rounds_newest_first() -> None:
    table = Table(*[100] * 103)
    for _ in range(103):
        table.run_until_phase(Phase.PAUSE)
    rounds = table.give("get_crash_history", limit=100).reply.rounds
    assert [ended.round for ended in rounds] == list(range(103, 3, -1))
    assert len(table.give("get_crash_history").reply.rounds) == 50
    assert msgspec.to_builtins(rounds[0]) == {
        "round": 103,
        "hash": table.chains.hashes[102].hex(),
        "crash_point": 1.0,
        "ended": "crashed",
        "multiplier": 1.0,
        "at_ms": table.state.ended_ms,
        "bets": 0,
        "staked": 0,
        "paid": 0,
    }
    assert len(table.behavior.view(table.state).history) == 10


def test_fairness_is_published() -> None:
    table = opened(300, 200)
    assert msgspec.to_builtins(table.give("get_crash_fairness").reply) == {
        "table": "main",
        "terminating_hash": "ab" * 32,
        "salt": "5a17" * 16,
        "salt_source": "test",
        "first_round": 1,
        "length": 2,
        "round": 1,
        "rounds_left": 1,
        "previous_hash": sha256(table.chains.hashes[0]).hexdigest(),
    }
