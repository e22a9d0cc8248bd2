from typing import Any

from clients.protocol import Event
from clients.state import ClientState


def event(kind: str, data: dict[str, Any]) -> Event:
    return Event(kind, "u_1", data, 1, 1)


def test_kept_current_by_events() -> None:
    state = ClientState()
    assert state.gold_balance is None
    profile = {"gold_balance": 100, "level": 2, "exp": 150, "streak": {"streak_count": 3}}
    state.apply(event("initial_state", profile))
    assert (state.user_id, state.gold_balance, state.level, state.exp) == ("u_1", 100, 2, 150)
    assert state.streak_count == 3
    state.apply(event("profile_update", {"changes": {"gold_balance": 90}}))
    assert (state.gold_balance, state.level) == (90, 2)
    state.apply(event("streak_update", {"action_type": "claim_streak", "streak_count": 4}))
    assert state.streak_count == 4
    assert state.details == profile


def test_a_new_snapshot_replaces() -> None:
    state = ClientState()
    state.apply(event("initial_state", {"gold_balance": 1, "streak": {"streak_count": 1}}))
    state.apply(event("initial_state", {"gold_balance": 2, "streak": {"streak_count": 0}}))
    assert (state.gold_balance, state.streak_count) == (2, 0)


def test_what_it_does_not_know_it_ignores() -> None:
    state = ClientState()
    state.apply(event("crash_tick", {"gold_balance": 5}))
    state.apply(event("profile_update", {"changes": None}))
    state.apply(event("profile_update", {"changes": {"gold_balance": "many"}}))
    assert state.gold_balance is None
