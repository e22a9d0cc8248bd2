import msgspec
import pytest

from actors.catalogue import behaviors
from actors.crash.round import Phase, TableRules
from actors.games.crash import elapsed_until, elapsed_until_above
from runtime.behavior import Context, Transfer
from tests.unit.actors.crash.floor import ESCROW, START_MS, TABLE, Floor, Table, code_of, run_to, transfers


def test_a_stake_is_on_hold_while_the_table_is_asked(floor) -> None:
    ann = floor.players["ann"]
    decision = floor.ask("ann", "place_crash_bet", stake=100, auto_cash_out=1.5)
    assert (decision.reply, decision.pushes, decision.transfers) == (None, (), ())
    (send,) = decision.sends
    assert (send.to, send.name, send.then) == (TABLE, "take_crash_bet", "crash_bet_answered")
    assert ann.state.gold == 9_900
    assert floor.ledger["player:ann"] == 10_000
    pending = {
        "table": "main",
        "round": None,
        "stake": 100,
        "auto_cash_out": 1.5,
        "status": "pending",
        "multiplier": None,
        "payout": 0,
        "at_ms": START_MS,
    }
    assert floor.bets("ann") == {"open": [pending], "settled": []}
    assert msgspec.to_builtins(ann.behavior.view(ann.state))["crash_bets"] == [pending]


def test_a_bet_that_is_taken_moves_into_the_escrow_of_the_round(floor) -> None:
    ann = floor.players["ann"]
    floor.ask("ann", "place_crash_bet", stake=100, auto_cash_out=1.5)
    lane = (ann.actor, TABLE)
    floor.deliver(lane)
    decision = floor.deliver(lane)
    assert transfers(decision) == [("player:ann", ESCROW, 100)]
    assert msgspec.to_builtins(decision.reply) == {
        "table": "main",
        "round": 1,
        "stake": 100,
        "auto_cash_out": 1.5,
        "gold_balance": 9_900,
    }
    assert ann.pushed(decision) == {
        "profile_update": {"changes": {"gold_balance": 9_900}},
        "user_action": {
            "action_type": "place_crash_bet",
            "context": {"table": "main", "round": 1, "stake": 100, "auto_cash_out": 1.5},
            "server_ts": START_MS,
        },
    }
    assert floor.bets("ann")["open"][0] | {"status": "placed", "round": 1} == floor.bets("ann")["open"][0]


def test_a_refused_bet_moves_nothing(floor) -> None:
    ann = floor.players["ann"]
    floor.ask("ann", "place_crash_bet", stake=100)
    floor.table.now_ms += 5_000
    lane = (ann.actor, TABLE)
    floor.deliver(lane)
    decision = floor.deliver(lane)
    assert code_of(decision.reply) == "betting_closed"
    assert decision.transfers == []
    # A spin in between would have shown the balance without the stake.
    assert ann.pushed(decision) == {"profile_update": {"changes": {"gold_balance": 10_000}}}
    assert ann.state.gold == 10_000
    assert floor.bets("ann") == {"open": [], "settled": []}
    assert [action.action_type for action in ann.behavior.view(ann.state).recent_actions] == []


def test_bets_that_the_session_refuses(floor, new_player) -> None:
    ann = floor.players["ann"]

    def refused(**data) -> str:
        return ann.rejection("place_crash_bet", **({"stake": 10} | data)).code

    assert refused(table="atlantis") == "unknown_table"
    assert refused(stake=100_001) == "stake_out_of_range"
    assert refused(stake=10_001) == "insufficient_funds"
    floor.bet("ann", 10)
    assert refused() == "bet_already_placed"


@pytest.mark.parametrize(
    "auto", [1, 1.0, 1.001, 1.0099999, 0.0, -1.5, float("nan"), float("inf"), 1e12, 1_000_000.01, 2.345]
)
def test_automatic_cash_outs_that_are_none(floor, auto) -> None:
    rejection = floor.players["ann"].rejection("place_crash_bet", stake=10, auto_cash_out=auto)
    assert rejection.code == "auto_cash_out_invalid"


@pytest.mark.parametrize(("auto", "target"), [(1.01, 101), (2, 200), (1.1, 110), (4.35, 435), (1e6, 10**8)])
def test_automatic_cash_outs(floor, auto, target) -> None:
    floor.bet("ann", 10, auto)
    assert floor.table.state.bets["ann"].auto == target


def test_every_multiplier_of_the_grid_is_recognised(floor) -> None:
    ann = floor.players["ann"]
    spec = ann.behavior.commands["place_crash_bet"]
    context = Context(ann.actor, "x", START_MS, ann.entropy)
    for target in (*range(101, 20_000, 7), *range(10**8 - 1_000, 10**8 + 1)):
        decision = ann.behavior.decide(ann.state, spec.data(10, "main", target / 100), context)
        assert decision.sends[0].data.auto == target


@pytest.mark.parametrize("stake", [0, -1, 1.5, True, "10", None, 10**12 + 1])
def test_a_stake_that_is_no_stake_is_refused_at_the_door(floor, stake) -> None:
    with pytest.raises(msgspec.ValidationError):
        floor.players["ann"].give("place_crash_bet", stake=stake)


def fill(floor: Floor, user: str, room: int) -> None:
    """A purse with room for so much more."""
    player = floor.players[user]
    gold = 2**53 - 1 - room
    floor.ledger["faucet:test"] -= gold - player.state.gold
    floor.ledger[f"player:{user}"] += gold - player.state.gold
    player.state.gold = gold


def test_a_purse_too_full_for_the_best_outcome_is_refused_before_the_round(new_player) -> None:
    """The house loses 1,000 in a round at most, whatever the multiplier."""
    floor = Floor(new_player, Table(300, liability_max=1_000), "ann")
    floor.fire()
    ann = floor.players["ann"]
    fill(floor, "ann", 999)
    assert ann.rejection("place_crash_bet", stake=100).code == "gold_limit"
    assert ann.rejection("place_crash_bet", stake=100, auto_cash_out=11).code == "gold_limit"
    ann.give("place_crash_bet", stake=100, auto_cash_out=10.99)


def test_a_purse_with_room_for_all_that_the_house_can_lose(new_player) -> None:
    floor = Floor(new_player, Table(300, liability_max=1_000), "ann")
    floor.fire()
    fill(floor, "ann", 1_000)
    floor.bet("ann", 100)
    assert floor.escrows() == {ESCROW: 100}


def test_a_cash_out(floor) -> None:
    ann = floor.players["ann"]
    floor.bet("ann", 100)
    run_to(floor, elapsed_until(200))
    asked = floor.ask("ann", "cash_out_crash")
    assert (asked.reply, asked.pushes, asked.transfers) == (None, (), ())
    assert floor.bets("ann")["open"][0]["status"] == "cashing_out"
    lane = (ann.actor, TABLE)
    floor.deliver(lane)
    decision = floor.deliver(lane)
    assert transfers(decision) == [(ESCROW, "player:ann", 100), ("house:crash", "player:ann", 100)]
    assert msgspec.to_builtins(decision.reply) == {
        "table": "main",
        "round": 1,
        "stake": 100,
        "multiplier": 2.0,
        "payout": 200,
        "gold_balance": 10_100,
    }
    assert ann.pushed(decision) == {
        "profile_update": {"changes": {"gold_balance": 10_100, "exp": 20}},
        "stats_update": {"stats": {"game_type": "crash", "plays": 1, "wins": 1, "losses": 0, "ev": 100.0}},
        "user_action": {
            "action_type": "settle_crash_bet",
            "context": {"table": "main", "round": 1, "stake": 100, "multiplier": 2.0, "payout": 200},
            "server_ts": ann.now_ms,
        },
        "crash_bet_settled": {
            "table": "main",
            "round": 1,
            "stake": 100,
            "auto_cash_out": None,
            "multiplier": 2.0,
            "payout": 200,
            "gold_balance": 10_100,
        },
    }
    assert floor.bets("ann")["settled"][0]["status"] == "cashed_out"
    assert floor.escrows() == {}
    run_to(floor, 60_000)
    assert floor.waiting() == []


def test_a_lost_bet(floor) -> None:
    ann = floor.players["ann"]
    floor.bet("ann", 100, 3.01)
    run_to(floor, elapsed_until_above(300))
    decision = floor.deliver((TABLE, ann.actor))
    assert transfers(decision) == [(ESCROW, "house:crash", 100)]
    assert decision.reply.gold_balance == 9_900
    settled = ann.pushed(decision)["crash_bet_settled"]
    assert (settled["multiplier"], settled["payout"], settled["gold_balance"]) == (None, 0, 9_900)
    assert floor.bets("ann")["open"] == []
    assert floor.bets("ann")["settled"][0]["status"] == "crashed"
    assert ann.state.games["crash"].losses == 1
    assert ann.state.nonce == 0


def test_a_target_is_paid_by_the_tables_word(floor) -> None:
    ann = floor.players["ann"]
    floor.bet("ann", 101, 1.55)
    run_to(floor, elapsed_until(155))
    decision = floor.deliver((TABLE, ann.actor))
    assert transfers(decision) == [(ESCROW, "player:ann", 101), ("house:crash", "player:ann", 55)]
    assert decision.reply.gold_balance == 10_055
    assert floor.cash_out("ann").code == "no_open_bet"


def test_the_smallest_bet_at_the_smallest_target_gets_its_stake_back(floor) -> None:
    floor.bet("ann", 1, 1.01)
    run_to(floor, elapsed_until(101))
    decision = floor.deliver((TABLE, "session/ann"))
    assert transfers(decision) == [(ESCROW, "player:ann", 1)]
    record = floor.players["ann"].state.games["crash"]
    assert (record.plays, record.wins, record.losses, record.won) == (1, 0, 0, 1)


def test_cash_outs_that_are_refused(floor) -> None:
    assert code_of(floor.cash_out("ann")) == "no_open_bet"
    floor.ask("ann", "place_crash_bet", stake=10)
    assert floor.players["ann"].rejection("cash_out_crash").code == "no_open_bet"
    floor.deliver_all()
    assert code_of(floor.cash_out("ann")) == "round_not_running"
    assert floor.players["ann"].rejection("cash_out_crash", table="atlantis").code == "no_open_bet"
    run_to(floor, 0)
    assert code_of(floor.cash_out("ann")) == "cash_out_too_early"
    assert floor.bets("ann")["open"][0]["status"] == "placed"
    floor.table.now_ms = floor.table.state.started_ms + elapsed_until_above(300)
    assert code_of(floor.cash_out("ann")) == "round_over"
    assert floor.bets("ann")["open"][0]["status"] == "placed"
    floor.run_until_phase(Phase.PAUSE)
    floor.deliver_all()
    assert code_of(floor.cash_out("ann")) == "no_open_bet"


def test_a_bet_is_cashed_out_once(floor) -> None:
    floor.bet("ann", 10)
    run_to(floor, elapsed_until(150))
    floor.ask("ann", "cash_out_crash")
    assert floor.players["ann"].rejection("cash_out_crash").code == "no_open_bet"
    floor.deliver_all()
    assert code_of(floor.cash_out("ann")) == "no_open_bet"
    assert floor.players["ann"].state.gold == 10_005


def test_a_player_bets_at_two_tables_and_each_answer_finds_its_bet(new_player) -> None:
    main, other = Table(300), Table(300, name="other")
    player = new_player("ann", behavior=_session("main", "other"))
    for table in (main, other):
        table.fire()
    first = player.give("place_crash_bet", stake=10)
    second = player.give("place_crash_bet", stake=20, table="other")
    assert player.rejection("place_crash_bet", stake=1, table="other").code == "bet_already_placed"
    for table, asked in ((other, second), (main, first)):
        (send,) = asked.sends
        taken = table.give(send.name, player.actor, **msgspec.to_builtins(send.data))
        answered = player.give(send.then, table.actor, reply=msgspec.msgpack.encode(taken.reply))
        assert answered.reply.table == table.name
        assert answered.transfers[0].credit == f"escrow:crash:{table.name}:1"
    assert [bet.status for bet in player.give("get_crash_bets").reply.open] == ["placed", "placed"]


def _session(*names: str):
    return behaviors({name: TableRules() for name in names})["session"]


def test_a_purse_that_has_filled_up_meanwhile_refuses_no_payout(floor) -> None:
    floor.bet("ann", 100, 2.0)
    fill(floor, "ann", 150)
    run_to(floor, elapsed_until(200))
    decision = floor.deliver((TABLE, "session/ann"))
    assert transfers(decision) == [
        (ESCROW, "player:ann", 100),
        ("house:crash", "player:ann", 50),
        ("house:crash", "house:overflow", 50),
    ]
    assert floor.players["ann"].state.gold == 2**53 - 1


def test_a_purse_that_has_filled_up_meanwhile_takes_a_refused_bet_as_far_as_it_can(floor) -> None:
    ann = floor.players["ann"]
    floor.ask("ann", "place_crash_bet", stake=100)
    fill(floor, "ann", 30)
    floor.table.now_ms += 5_000
    floor.deliver((ann.actor, TABLE))
    decision = floor.deliver((ann.actor, TABLE))
    assert decision.transfers == [Transfer("player:ann", "house:overflow", 70, "refused bet")]
    assert ann.state.gold == 2**53 - 1


def test_the_latest_twenty_are_remembered_newest_first(new_player) -> None:
    floor = Floor(new_player, Table(*[150] * 23), "ann")
    for _ in range(23):
        floor.run_until_phase(Phase.BETTING)
        floor.bet("ann", 1)
        floor.run_until_phase(Phase.PAUSE)
        floor.deliver_all()
    settled = floor.bets("ann")["settled"]
    assert [bet["round"] for bet in settled] == list(range(23, 3, -1))
    ann = floor.players["ann"]
    assert ann.replayed() == ann.restored() == ann.state
    assert len(ann.state.games["crash"].memory) < 700


def settle_data(**changes) -> dict:
    return {
        "table": "main",
        "round": 1,
        "bet": 1,
        "escrow": ESCROW,
        "stake": 10,
        "auto": None,
        "multiplier": 200,
        "payout": 20,
    } | changes


@pytest.mark.parametrize(
    ("sender", "changes"),
    [
        (None, {}),
        ("session/ben", {}),
        ("session/main", {}),
        ("crash/other", {}),
        ("crash/other", {"table": "other"}),
        ("crash/other", {"table": "other", "escrow": "escrow:crash:other:1"}),
        (TABLE, {"escrow": "escrow:crash:main:2"}),
        (TABLE, {"escrow": "house:slots"}),
        (TABLE, {"round": 2, "escrow": "escrow:crash:main:2"}),
        (TABLE, {"bet": 2}),
        (TABLE, {"stake": 11}),
    ],
)
def test_only_the_tables_own_word_settles_a_bet(floor, sender, changes) -> None:
    floor.bet("ann", 10)
    ann = floor.players["ann"]
    rejection = ann.rejection("settle_crash_bet", sender=sender, **settle_data(**changes))
    assert rejection.code == "crash_not_genuine"
    ann.give("settle_crash_bet", TABLE, **settle_data())


@pytest.mark.parametrize("name", ["crash_bet_answered", "crash_cash_out_answered"])
@pytest.mark.parametrize("sender", [None, "session/ben"])
def test_only_a_table_answers(floor, name, sender) -> None:
    rejection = floor.players["ann"].rejection(name, sender=sender, refusal=["no", "No."])
    assert rejection.code == "crash_not_genuine"


def test_a_bet_is_settled_once(floor) -> None:
    floor.bet("ann", 10)
    ann = floor.players["ann"]
    ann.give("settle_crash_bet", TABLE, **settle_data())
    again = ann.give("settle_crash_bet", TABLE, **settle_data())
    assert (again.events, again.pushes, again.transfers) == ((), (), ())
    assert again.reply.gold_balance == ann.state.gold == 10_010


def test_word_for_a_session_that_nobody_opened(floor, new_player) -> None:
    nobody = new_player("nobody", signed_in=False)
    assert nobody.rejection("settle_crash_bet", sender=TABLE, **settle_data()).code == "crash_not_genuine"


def test_the_answer_to_a_cash_out_when_the_bet_is_settled_already_changes_nothing(floor) -> None:
    """No table says both; if one did, the bet would still be settled once."""
    ann = floor.players["ann"]
    floor.bet("ann", 10)
    ann.give("settle_crash_bet", TABLE, **settle_data())
    taken = {"multiplier": 200, "payout": 20, "round": 1, "bet": 1, "stake": 10}
    late = ann.give("crash_cash_out_answered", TABLE, reply=msgspec.msgpack.encode(taken))
    assert (late.events, late.reply.payout, late.reply.gold_balance) == ((), 20, 10_010)


def test_a_refusal_that_belongs_to_no_waiting_bet_releases_nothing(floor) -> None:
    ann = floor.players["ann"]
    for _ in range(2):
        decision = ann.give("crash_bet_answered", TABLE, refusal=["betting_closed", "Too late."])
        assert (decision.events, code_of(decision.reply)) == ((), "betting_closed")
        floor.bet("ann", 10)
    assert floor.escrows() == {ESCROW: 10}


def test_reading_changes_and_sends_nothing(ann) -> None:
    decision = ann.give("get_crash_bets")
    assert (decision.events, decision.pushes, decision.sends) == ((), (), ())
    assert msgspec.to_builtins(decision.reply) == {"open": [], "settled": []}
