import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.actions import RECENT_ACTIONS_MAX, recent, remember
from actors.pushes import INTEGER_MAX, UserAction
from actors.session_state import SessionState

scalars = (
    st.integers(-INTEGER_MAX, INTEGER_MAX)
    | st.floats(-1e300, 1e300)
    | st.booleans()
    | st.text(max_size=20)
    | st.none()
)
actions = st.builds(
    UserAction,
    action_type=st.text(min_size=1, max_size=64),
    context=st.dictionaries(st.text(max_size=20), scalars, max_size=5),
    server_ts=st.integers(0, INTEGER_MAX),
    client_ts=st.just(msgspec.UNSET) | st.integers(0, INTEGER_MAX),
)


@given(st.lists(actions, max_size=25))
def test_the_latest_ten_are_remembered_newest_first(every: list[UserAction]) -> None:
    state = SessionState("ann")
    for action in every:
        remember(state, action)
    assert recent(state) == every[::-1][:RECENT_ACTIONS_MAX]


def test_log_action_is_pushed_and_remembered(ann) -> None:
    decision = ann.give("log_action", action_type="lobby.opened", client_ts=123, context={"tab": "slots"})
    expected = {
        "action_type": "lobby.opened",
        "context": {"tab": "slots"},
        "server_ts": ann.now_ms,
        "client_ts": 123,
    }
    assert ann.pushed(decision) == {"user_action": expected}
    assert msgspec.to_builtins(recent(ann.state)[0]) == expected
    assert decision.reply.server_ts == ann.now_ms


def test_client_ts_and_context_are_optional(ann) -> None:
    pushed = ann.pushed(ann.give("log_action", action_type="ping"))
    assert pushed["user_action"] == {"action_type": "ping", "context": {}, "server_ts": ann.now_ms}


def test_a_context_too_large_is_rejected(ann) -> None:
    rejected = ann.rejection(
        "log_action", action_type="a", context={str(number): "x" * 100 for number in range(3)}
    )
    assert rejected.code == "context_too_large"


@pytest.mark.parametrize(
    "data",
    [
        {"action_type": ""},
        {"action_type": "a b"},
        {"action_type": "a\n"},
        {"action_type": "a" * 65},
        {"action_type": "a", "client_ts": -1},
        {"action_type": "a", "client_ts": 2**53},
        {"action_type": "a", "context": {"deep": {"er": 1}}},
        {"action_type": "a", "context": {"list": [1]}},
        {"action_type": "a", "context": {"": 1}},
        {"action_type": "a", "context": {"k" * 65: 1}},
        {"action_type": "a", "context": {"text": "x" * 257}},
        {"action_type": "a", "context": {"big": 2**53}},
        {"action_type": "a", "context": {"endless": float("inf")}},
        {"action_type": "a", "context": {"nothing": float("nan")}},
        {"action_type": "a", "context": {str(number): 1 for number in range(17)}},
    ],
)
def test_unbounded_or_nested_data_is_refused_at_the_door(ann, data) -> None:
    with pytest.raises(msgspec.ValidationError):
        ann.give("log_action", **data)


def test_many_actions_in_one_turn(ann) -> None:
    actions = [{"action_type": f"tab.{n}", "client_ts": n, "context": {"n": n}} for n in range(50)]
    decision = ann.give("log_actions", actions=actions)
    assert (decision.reply.logged, decision.reply.server_ts) == (50, ann.now_ms)
    assert [push.data.action_type for push in decision.pushes] == [a["action_type"] for a in actions]
    kept = msgspec.to_builtins(ann.give("get_recent_actions").reply)
    assert kept["user_id"] == "ann"
    assert [action["context"]["n"] for action in kept["actions"]] == list(range(49, 39, -1))
    assert ann.replayed() == ann.restored() == ann.state


def test_one_action_too_large_refuses_them_all(ann) -> None:
    good = {"action_type": "a"}
    bad = {"action_type": "b", "context": {"text": "x" * 255}}
    assert ann.rejection("log_actions", actions=[good, bad]).code == "context_too_large"
    assert recent(ann.state) == []


@pytest.mark.parametrize("actions", [[], [{"action_type": "a"}] * 51, [{"action_type": "a", "more": 1}]])
def test_too_few_and_too_many_actions(ann, actions) -> None:
    with pytest.raises(msgspec.ValidationError):
        ann.give("log_actions", actions=actions)
