import re

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.catalogue import FEATURES, GAMES
from actors.games.fairness import commitment
from actors.games.slots import SLOTS
from actors.session import WELCOME_GOLD, OpenSession, Session
from runtime.behavior import Transfer
from runtime.errors import Rejected
from runtime.identity import Packed

MINUTE_MS = 60_000

commands = st.one_of(
    st.tuples(st.just("spin_slots"), st.fixed_dictionaries({"stake": st.integers(1, 12_000)})),
    st.tuples(st.just("claim_streak"), st.just({})),
    st.tuples(st.just("get_profile"), st.just({})),
    st.tuples(st.just("rotate_server_seed"), st.just({})),
    st.tuples(st.just("set_client_seed"), st.just({"client_seed": "lucky"})),
    st.tuples(
        st.just("set_time_zone"),
        st.fixed_dictionaries({"time_zone": st.sampled_from(["UTC", "Asia/Seoul", "Mars/Base"])}),
    ),
    st.tuples(
        st.just("send_gift"),
        st.fixed_dictionaries({"to_user": st.just("ben"), "amount": st.integers(1, 9_000)}),
    ),
    st.tuples(
        st.just("receive_gift"),
        st.fixed_dictionaries(
            {
                "from_user": st.just("eve"),
                "amount": st.integers(1, 9_000),
                "escrow": st.just("escrow:gift:eve:1"),
                "sender": st.just("session/eve"),
            }
        ),
    ),
    st.tuples(st.just("place_crash_bet"), st.fixed_dictionaries({"stake": st.integers(1, 9_000)})),
    st.tuples(
        st.just("crash_bet_answered"),
        st.just({"sender": "crash/main", "refusal": ["betting_closed", "Too late."]}),
    ),
    st.tuples(
        st.just("log_action"),
        st.fixed_dictionaries(
            {"action_type": st.just("ping")},
            optional={"client_ts": st.integers(0, 10), "context": st.just({"a": 1, "b": None, "c": 0.5})},
        ),
    ),
)
turns = st.lists(st.tuples(st.integers(0, 30 * 60), commands), max_size=40)


@settings(max_examples=80, deadline=None)
@given(turns, st.integers(0, 40))
def test_replaying_the_journal_rebuilds_the_state(new_player, script, snapshot_after) -> None:
    """The player itself checks conservation of gold, and that ``decide`` changes nothing."""
    player = new_player()
    resumed = None
    for number, (minutes, (name, data)) in enumerate(script):
        player.now_ms += minutes * MINUTE_MS
        if number == snapshot_after:
            resumed = (player.restored(), len(player.journal))
        try:
            player.give(name, **data)
        except Rejected:
            continue
        assert player.state.gold >= 0
    assert player.replayed() == player.state
    assert player.restored() == player.state
    if resumed is not None:
        state, position = resumed
        for events in player.journal[position:]:
            player.apply(state, events)
        assert state == player.state


def test_the_first_turn(new_player) -> None:
    player = new_player("ann")
    assert player.opened.transfers == (Transfer("faucet:welcome", "player:ann", WELCOME_GOLD, "welcome"),)
    assert player.opened.reply.gold_balance == player.state.gold == 10_000
    assert player.pushed(player.opened) == {
        "reward_granted": {"reward_type": "welcome", "amount": 10_000, "balance_after": 10_000}
    }
    assert len(player.state.server_seed) == 32
    assert re.fullmatch("[0-9a-f]{16}", player.state.client_seed)
    assert player.state.nonce == 0
    assert not player.behavior.is_new(player.state)


def test_a_session_opens_once(ann) -> None:
    assert ann.rejection("open_session").code == "already_open"
    assert ann.behavior.commands["open_session"].audience == "system"


def test_two_players_draw_different_seeds(new_player) -> None:
    ann, ben = new_player("ann"), new_player("ben")
    assert ann.state.server_seed != ben.state.server_seed
    assert ann.state.client_seed != ben.state.client_seed


def test_what_the_runtime_asks_of_a_behavior() -> None:
    session = Session((*FEATURES, *GAMES))
    assert session.kind == "session"
    assert session.placement == Packed()
    assert session.genesis == ("open_session", OpenSession())
    assert session.initial("ann").user_id == "ann"
    assert session.is_new(session.initial("ann"))
    assert session.view(session.initial("ann")).gold_balance == 0


def test_a_feature_registered_twice_is_an_error() -> None:
    with pytest.raises(ValueError, match="command registered twice: spin_slots"):
        Session((SLOTS, SLOTS))


def test_commands_of_the_contract() -> None:
    session = Session((*FEATURES, *GAMES))
    audience = {name: spec.audience for name, spec in session.commands.items()}
    assert audience == {
        "open_session": "system",
        "get_profile": "player",
        "get_dashboard": "player",
        "set_time_zone": "player",
        "claim_streak": "player",
        "set_client_seed": "player",
        "rotate_server_seed": "player",
        "send_gift": "player",
        "receive_gift": "system",
        "return_gift": "system",
        "log_action": "player",
        "log_actions": "player",
        "get_recent_actions": "player",
        "set_role": "system",
        "adjust_gold": "system",
        "spin_slots": "player",
        "place_crash_bet": "player",
        "cash_out_crash": "player",
        "get_crash_bets": "player",
        "crash_bet_answered": "system",
        "crash_cash_out_answered": "system",
        "settle_crash_bet": "system",
    }


def test_the_view_shows_the_commitment_and_no_seed(ann) -> None:
    view = msgspec.to_builtins(ann.behavior.view(ann.state))
    assert view["fairness"] == {
        "server_seed_hash": commitment(ann.state.server_seed),
        "client_seed": ann.state.client_seed,
        "nonce": 0,
    }
