from contextlib import suppress
from itertools import pairwise

import msgspec
import pytest

from actors.crash.round import Phase
from actors.crash.table import SENDS_PER_TURN_MAX
from actors.games.crash import elapsed_until, elapsed_until_above
from runtime.errors import Rejected
from tests.unit.actors.crash.floor import START_MS, Table, finish, opened, pushed, settlements, start


def test_a_new_table_opens_its_first_round_at_once() -> None:
    table = Table(200)
    alarm = table.alarm()
    assert (alarm.at_ms, alarm.name, alarm.id) == (0, "end_phase", "0/pause")
    decision = table.fire()
    assert pushed([decision]) == [
        (
            "crash_betting_opened",
            {"table": "main", "round": 1, "betting_ends_ms": START_MS + 5_000, "server_ms": START_MS},
        )
    ]


def test_the_phases_of_a_round_and_the_ids_of_their_alarms() -> None:
    table = opened(150, 150)
    ids = [table.alarm().id]
    start(table)
    started_ms = START_MS + 5_000
    assert table.state.started_ms == started_ms
    ids.append(table.alarm().id)
    table.run_until_phase(Phase.CRASHED)
    assert table.now_ms == started_ms + elapsed_until_above(150)
    ids.append(table.alarm().id)
    finish(table)
    ids.append(table.alarm().id)
    assert ids == ["1/betting", "1/running", "1/crashed", "1/pause"]
    assert table.alarm().at_ms == table.now_ms + 3_000
    table.run_until_phase(Phase.BETTING)
    assert table.state.round == 2


def test_an_alarm_before_its_time_changes_nothing() -> None:
    table = opened(150)
    table.bet("ann", 10, 120)
    for phase in (Phase.BETTING, Phase.RUNNING, Phase.PAUSE):
        while table.state.phase is not phase:
            table.now_ms = max(table.now_ms, table.alarm().at_ms)
            table.fire()
        if phase is Phase.RUNNING:
            table.now_ms = table.state.started_ms
        alarm = table.alarm()
        table.now_ms = alarm.at_ms - 1
        data = msgspec.to_builtins(alarm.data)
        assert table.rejection(alarm.name, **data) == "not_due"
        assert table.alarm() == alarm


def test_an_alarm_for_what_is_over_changes_nothing() -> None:
    table = opened(150)
    betting = table.alarm()
    start(table)
    assert table.rejection("end_phase", **msgspec.to_builtins(betting.data)) == "not_due"
    finish(table)
    assert table.rejection("announce", round=1, number=0) == "not_due"
    assert table.rejection("settle_bets", round=1, number=0) == "not_due"
    assert table.rejection("end_phase", round=1, phase="running") == "not_due"


def test_the_round_is_not_settled_while_bets_are_owed() -> None:
    table = opened(150)
    table.bet("ann", 10)
    table.run_until_phase(Phase.CRASHED)
    assert table.rejection("end_phase", round=1, phase="crashed") == "not_due"
    assert table.rejection("settle_bets", round=1, number=1) == "not_due"


def test_targets_are_paid_exactly_and_soon() -> None:
    table = opened(300)
    autos = {"ann": 101, "ben": 102, "cid": 150, "dan": 151, "eve": 300, "fay": 301}
    for user, auto in autos.items():
        table.bet(user, 1_000, auto)
    start(table)
    told = {}
    while table.state.phase is Phase.RUNNING:
        table.now_ms = max(table.now_ms, table.alarm().at_ms)
        for to, result in settlements([table.fire()]).items():
            told[to] = result
            late_ms = table.now_ms - table.state.started_ms - elapsed_until(autos[to[8:]])
            assert 0 <= late_ms <= 100
    told |= settlements(finish(table))
    assert told == {f"session/{user}": (auto, 10 * auto) for user, auto in autos.items() if auto <= 300} | {
        "session/fay": (None, 0)
    }


def test_bets_are_settled_five_hundred_at_a_time() -> None:
    table = opened(200)
    for number in range(1_100):
        table.bet(f"loser{number}", 1)
        table.bet(f"winner{number}", 1, 150)
    start(table)
    paid = table.run_until(table.state.started_ms + elapsed_until(150))
    assert [len(decision.sends) for decision in paid] == [500, 500, 100]
    lost = table.run_until_phase(Phase.PAUSE)
    assert [len(decision.sends) for decision in lost if decision.sends] == [500, 500, 100]
    assert SENDS_PER_TURN_MAX == 500
    assert len(settlements([*paid, *lost])) == 2_200
    ids = [name for name in table.alarms_done if "crashed" in name]
    assert ids == ["1/crashed/0", "1/crashed/1", "1/crashed/2", "1/crashed"]


def test_new_bets_and_cash_outs_are_shown_four_times_a_second() -> None:
    table = opened(1_000)
    shown = []
    for step in range(400):
        number = f"u{step}"
        if table.state.phase is Phase.BETTING:
            if table.now_ms < table.state.betting_ends_ms:
                table.bet(number, 2, 300 if step % 2 else None)
        elif table.state.bets.get(f"u{2 * (step % 40)}", None) and step % 3 == 0:
            with suppress(Rejected):
                table.cash_out(f"u{2 * (step % 40)}")
        for decision in table.run_until(table.now_ms + 50):
            shown += [(table.now_ms, push) for push in pushed([decision])]
    while table.state.phase is not Phase.PAUSE:
        shown += [(table.now_ms, push) for push in pushed([table.fire_in_time()])]
    for kind in ("crash_bets_placed", "crash_cashed_out"):
        times = [at_ms for at_ms, push in shown if push[0] == kind]
        assert len(times) > 3
        # The start of the round shows what is left, however recent the last time was.
        assert all(later - earlier >= 200 for earlier, later in pairwise(times[:-1]))
    placed = [push[1] for _, push in shown if push[0] == "crash_bets_placed"]
    named = [bet["user_id"] for push in placed for bet in push["bets"]]
    assert named == list(table.state.bets)
    assert placed[-1]["players"] == len(table.state.bets)
    assert placed[-1]["staked"] == table.state.staked
    last = [push[1] for _, push in shown if push[0] == "crash_cashed_out"][-1]
    assert last["cashed_out"] == sum(bet.multiplier is not None for bet in table.state.bets.values())
    assert last["paid"] == table.state.paid == sum(bet.payout for bet in table.state.bets.values())


def test_a_table_whose_chain_has_ended_waits_for_another() -> None:
    table = Table(100)
    table.run_until_phase(Phase.PAUSE)
    alarm = table.alarm()
    table.now_ms = alarm.at_ms
    for _ in range(2):
        with pytest.raises(Rejected, match="out_of_hashes"):
            table.fire()
        assert table.alarm() == alarm
    assert table.behavior.rounds_left(table.state) == 0
    take = {"bet": 1, "stake": 1, "auto": None}
    assert table.rejection("take_crash_bet", "session/ann", **take) == "betting_closed"
    table.chains.hashes.append(table.chains.hashes[0])
    table.run_until_phase(Phase.BETTING)
    assert table.behavior.rounds_left(table.state) == 0
