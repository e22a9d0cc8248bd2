"""Sessions and a table together: whatever overtakes whatever, gold is conserved and each bet settled once."""

from collections import Counter

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.crash import messages
from actors.crash.messages import optional_float, table_actor
from actors.crash.round import Phase
from actors.games.crash import elapsed_until
from runtime.behavior import Refusal
from tests.unit.actors.crash.floor import ESCROW, TABLE, Floor, Table, code_of, run_to, transfers

NAMES = ("ann", "ben", "cid")

bet = st.tuples(
    st.just("bet"),
    st.sampled_from(NAMES),
    st.integers(1, 400),
    st.none() | st.integers(101, 400).map(lambda target: target / 100),
)
deliver = st.tuples(st.just("deliver"), st.integers(0, 10))
steps = st.one_of(
    bet,
    bet,
    st.tuples(st.just("cash_out"), st.sampled_from(NAMES)),
    deliver,
    deliver,
    deliver,
    st.tuples(st.just("wait"), st.sampled_from((10, 1_000, 2_000, 5_000))),
    st.tuples(st.just("time"), st.sampled_from((10, 500, 3_000))),
    st.tuples(st.just("restore")),
)


def events_named(player, tag: str) -> list[dict]:
    every = [event for events in player.journal for event in msgspec.msgpack.decode(events)]
    return [event for event in every if event["type"] == tag]


@settings(max_examples=100, deadline=None)
@given(
    st.lists(steps, min_size=40, max_size=120),
    st.lists(st.sampled_from((100, 101, 200, 300, 400, 900)), min_size=5, max_size=5),
    st.sampled_from((800, 10**9)),
)
def test_whatever_overtakes_whatever(new_player, script, points, liability_max) -> None:
    """``deliver`` lets one message of one lane arrive; ``wait`` runs the table's alarms in time, ``time``
    passes without it."""
    table = Table(*points * 6, liability_max=liability_max)
    floor = Floor(new_player, table, *NAMES)
    floor.fire()
    for step, *arguments in script:
        if step == "bet":
            user, stake, auto = arguments
            floor.ask(user, "place_crash_bet", stake=stake, auto_cash_out=auto)
        elif step == "cash_out":
            floor.ask(arguments[0], "cash_out_crash")
        elif step == "deliver":
            if waiting := floor.waiting():
                floor.deliver(waiting[arguments[0] % len(waiting)])
        elif step == "wait":
            floor.run_until(table.now_ms + arguments[0])
        elif step == "time":
            table.now_ms += arguments[0]
        else:
            table.restore()
    for _ in range(2):
        # All that is on its way may still bring bets into the round that is open.
        floor.deliver_all()
        floor.run_until(table.now_ms + 60_000)
    floor.deliver_all()

    assert floor.escrows() == {}
    assert sum(floor.ledger.values()) == 0
    for name, player in floor.players.items():
        assert floor.ledger[f"player:{name}"] == player.state.gold
        assert player.replayed() == player.restored() == player.state
        assert floor.bets(name)["open"] == []
        requested = [event["bet"] for event in events_named(player, "crash_bet_requested")]
        released = [event["bet"] for event in events_named(player, "crash_bet_released")]
        placed = [event["bet"] for event in events_named(player, "crash_bet_placed")]
        settled = events_named(player, "crash_bet_settled")
        assert sorted(placed + released) == requested == list(range(1, len(requested) + 1))
        assert sorted(placed) == sorted(event["bet"] for event in settled)
        assert all(count == 1 for count in Counter(event["round"] for event in settled).values())
        asked = len(requested) + len(events_named(player, "crash_cash_out_requested"))
        told = [reply for reply in floor.replies[name] if not hasattr(reply, "open")]
        assert len(told) >= asked
        record = player.state.games.get("crash")
        assert (record.plays if record else 0) == len(settled)
        net = sum(event["payout"] - event["stake"] for event in settled)
        assert player.state.gold == 10_000 + net
    profits = Counter()
    for player in floor.players.values():
        for event in events_named(player, "crash_bet_settled"):
            profits[event["round"]] += event["payout"] - event["stake"]
    assert all(profit <= liability_max for profit in profits.values())
    by_round = {ended.round: ended for ended in table.state.history}
    for number, profit in profits.items():
        assert by_round[number].paid - by_round[number].staked == profit


def test_the_settlement_overtakes_the_answer_to_the_bet(floor) -> None:
    """The session's host died before the answer came; the round was over before the next one asked."""
    ann = floor.players["ann"]
    floor.ask("ann", "place_crash_bet", stake=100, auto_cash_out=2.0)
    floor.deliver((ann.actor, TABLE))
    run_to(floor, elapsed_until(200))
    settled = floor.deliver((TABLE, ann.actor))
    assert transfers(settled) == [
        ("player:ann", ESCROW, 100),
        (ESCROW, "player:ann", 100),
        ("house:crash", "player:ann", 100),
    ]
    assert [push.type for push in settled.pushes] == [
        "user_action",
        "profile_update",
        "stats_update",
        "user_action",
        "crash_bet_settled",
    ]
    assert ann.state.gold == 10_100
    late = floor.deliver((ann.actor, TABLE))
    assert (late.events, late.pushes, late.transfers) == ((), (), ())
    assert msgspec.to_builtins(late.reply) == {
        "table": "main",
        "round": 1,
        "stake": 100,
        "auto_cash_out": 2.0,
        "gold_balance": 10_100,
    }


def test_the_answer_comes_when_the_next_bet_is_already_waiting(floor) -> None:
    ann = floor.players["ann"]
    lane = (ann.actor, TABLE)
    floor.ask("ann", "place_crash_bet", stake=100)
    floor.deliver(lane)
    run_to(floor, 60_000)
    floor.deliver((TABLE, ann.actor))
    floor.ask("ann", "place_crash_bet", stake=7)
    late = floor.deliver(lane)
    assert (late.events, late.reply.round, late.reply.stake) == ((), 1, 100)
    (still_open,) = floor.bets("ann")["open"]
    assert (still_open["stake"], still_open["status"]) == (7, "pending")
    floor.deliver(lane)
    assert code_of(floor.deliver(lane).reply) == "betting_closed"
    assert floor.escrows() == {}
    assert floor.bets("ann")["open"] == []


def test_the_target_is_reached_while_the_cash_out_is_on_its_way(floor) -> None:
    ann = floor.players["ann"]
    floor.bet("ann", 100, 2.0)
    run_to(floor, elapsed_until(190))
    floor.ask("ann", "cash_out_crash")
    run_to(floor, elapsed_until(200))
    settled = floor.deliver((TABLE, ann.actor))
    assert settled.reply.gold_balance == 10_100
    lane = (ann.actor, TABLE)
    floor.deliver(lane)
    late = floor.deliver(lane)
    assert (late.events, code_of(late.reply)) == ((), "no_open_bet")


def test_the_refusal_of_a_cash_out_comes_before_the_tables_word(floor) -> None:
    ann = floor.players["ann"]
    floor.bet("ann", 100, 2.0)
    run_to(floor, elapsed_until(190))
    floor.ask("ann", "cash_out_crash")
    run_to(floor, elapsed_until(200))
    lane = (ann.actor, TABLE)
    floor.deliver(lane)
    refused = floor.deliver(lane)
    assert len(refused.events) == 1
    assert floor.bets("ann")["open"][0]["status"] == "placed"
    assert floor.deliver((TABLE, ann.actor)).reply.gold_balance == 10_100


def test_the_round_is_over_before_the_answer_to_a_cash_out_comes(floor) -> None:
    """The table does not speak of a bet that it has paid by an answer."""
    ann = floor.players["ann"]
    floor.bet("ann", 100)
    run_to(floor, elapsed_until(200))
    floor.ask("ann", "cash_out_crash")
    floor.deliver((ann.actor, TABLE))
    run_to(floor, 60_000)
    assert floor.waiting() == [(ann.actor, TABLE)]
    assert floor.escrows() == {ESCROW: 100}
    assert ann.rejection("place_crash_bet", stake=1).code == "bet_already_placed"
    assert floor.deliver((ann.actor, TABLE)).reply.gold_balance == 10_100
    assert floor.escrows() == {}


def test_the_answer_of_every_command_comes(new_player) -> None:
    floor = Floor(new_player, Table(200), "ann")
    floor.fire()
    placed = floor.bet("ann", 10)
    refused = floor.bet("ann", 10)
    floor.run_until_phase(Phase.PAUSE)
    assert placed.round == 1
    assert isinstance(refused, Refusal)


def test_names() -> None:
    assert table_actor("main") == "crash/main"
    assert optional_float(None) is None
    assert optional_float(150) == 1.5
    codes = {value for name, value in vars(messages).items() if name.isupper() and isinstance(value, str)}
    assert {
        "unknown_table",
        "auto_cash_out_invalid",
        "bet_already_placed",
        "betting_closed",
        "table_full",
        "no_open_bet",
        "round_not_running",
        "cash_out_too_early",
        "round_over",
    } <= codes
