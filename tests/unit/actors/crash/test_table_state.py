from contextlib import suppress

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.crash.round import Phase, TableRules
from actors.crash.table import CrashTable
from actors.games.crash import elapsed_until_above
from runtime.errors import Rejected
from tests.unit.actors.crash.floor import finish, opened, settlements, start


def test_rules_that_change_leave_the_round_that_is_open_alone() -> None:
    table = opened(500, liability_max=200)
    table.bet("ann", 100)
    table.behavior = CrashTable({"main": TableRules(liability_max=10**9)}, table.chains)
    assert settlements(finish(table)) == {"session/ann": (300, 300)}


def test_a_table_that_is_loaded_anew_in_any_phase_goes_on_as_if_nothing_had_been() -> None:
    def played(restores: bool):
        table = opened(400)
        table.bet("ann", 10, 150)
        table.bet("ben", 10, 300)
        table.bet("cid", 10)
        decisions = []
        while table.state.phase is not Phase.PAUSE:
            if restores:
                table.restore()
            table.now_ms = max(table.now_ms, table.alarm().at_ms)
            decisions.append(table.fire())
        return settlements(decisions), table.state

    assert played(True) == played(False)


bets_strategy = st.lists(
    st.tuples(st.integers(1, 500), st.none() | st.integers(101, 600)), min_size=1, max_size=12
)


@settings(max_examples=60, deadline=None)
@given(
    bets_strategy,
    st.sampled_from([100, 101, 150, 200, 300, 450]),
    st.integers(0, 2_000),
    st.lists(st.tuples(st.integers(0, 11), st.integers(0, 30_000)), max_size=5),
)
def test_all_in_one_go_much_later_pays_the_same(bets, point, room, cash_outs) -> None:
    """A table that does everything in time, and one that is as good as absent, whose alarms come only
    when somebody has been there, and an hour after."""
    rules = {"liability_max": sum(stake for stake, _ in bets) + room}

    def played(in_time: bool) -> dict[str, int]:
        table = opened(point, **rules)
        for number, (stake, auto) in enumerate(bets):
            table.bet(f"u{number}", stake, auto)
        start(table)
        started_ms = table.state.started_ms
        payouts = {}
        decisions = []
        for number, elapsed_ms in sorted(cash_outs, key=lambda one: one[1]):
            if in_time:
                decisions += table.run_until(started_ms + elapsed_ms)
            table.now_ms = started_ms + elapsed_ms
            with suppress(Rejected):
                payouts[f"session/u{number}"] = table.cash_out(f"u{number}").reply.payout
        if not in_time:
            table.now_ms = started_ms + 3_600_000
        decisions += finish(table)
        profit = table.state.paid - table.state.staked
        assert profit <= rules["liability_max"]
        told = {to: paid for to, (_, paid) in settlements(decisions).items()}
        assert not told.keys() & payouts.keys()
        return told | payouts

    assert played(in_time=True) == played(in_time=False)


def test_nothing_tells_the_crash_point_before_the_round_has_ended() -> None:
    table = opened(777, liability_max=10**6)
    secret = table.chains.hashes[0]
    decisions = []
    views = []

    def look() -> None:
        views.append(msgspec.msgpack.encode(table.behavior.view(table.state)))
        views.append(table.snapshot())
        views.append(msgspec.msgpack.encode(table.give("get_crash_history").reply))
        views.append(msgspec.msgpack.encode(table.give("get_crash_fairness").reply))
        views.append(table.behavior.describe(table.state).encode())
        tick = table.behavior.tick(table.state, table.now_ms)
        if tick is not None:
            views.append(msgspec.msgpack.encode(tick))
        alarm = table.alarm()
        views.append(msgspec.msgpack.encode((alarm.name, alarm.data, alarm.id)))

    for number in range(30):
        decisions.append(table.bet(f"u{number}", 10, 150 + 20 * number))
    start(table)
    crash_ms = table.state.started_ms + elapsed_until_above(777)
    while table.state.phase is Phase.RUNNING:
        look()
        table.now_ms = max(table.now_ms, table.alarm().at_ms)
        if table.now_ms >= crash_ms:
            break
        decisions.append(table.fire())
    assert len(decisions) > 40
    told = b"".join(
        msgspec.msgpack.encode((d.events, d.reply, d.pushes, [send.data for send in d.sends], d.reminders))
        for d in decisions
    )
    told += b"".join(table.journal) + b"".join(views)
    numbers = (777, 7.77, crash_ms, crash_ms - 1, crash_ms - table.state.started_ms)
    secrets = [secret, secret.hex().encode(), *(msgspec.msgpack.encode(number) for number in numbers)]
    # Numbers of two or three bytes are also in other things by chance: those are looked for as values.
    assert [one for one in secrets if len(one) > 3 and one in told] == []
    for event in (event for decision in decisions for event in decision.events):
        assert not set(numbers) & set(msgspec.to_builtins(event).values())
    assert all(decision.reminders == () for decision in decisions)
    assert settlements(decisions)["session/u29"] == (730, 73)
    assert secret.hex().encode() in msgspec.msgpack.encode([d.events for d in finish(table)])
