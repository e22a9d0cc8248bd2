import msgspec

from actors import pushes


def test_only_what_changed_is_in_a_profile_update() -> None:
    assert msgspec.to_builtins(pushes.profile_update(gold_balance=5).data) == {"changes": {"gold_balance": 5}}
    assert msgspec.to_builtins(pushes.profile_update(0, 2, 0).data) == {
        "changes": {"gold_balance": 0, "level": 2, "exp": 0}
    }


def test_client_ts_is_left_out_when_the_client_said_none() -> None:
    action = pushes.UserAction("spin_slots", {}, 7)
    assert msgspec.to_builtins(pushes.user_action(action).data) == {
        "action_type": "spin_slots",
        "context": {},
        "server_ts": 7,
    }


def test_every_push_is_built_as_it_is_declared() -> None:
    declared = {spec.name: spec.data for spec in pushes.PUSHES}
    built = [
        pushes.profile_update(1),
        pushes.reward_granted("gift", 1, 2),
        pushes.streak_update("claim_streak", 1),
        pushes.stats_update(pushes.GameStatistics("slots", 1, 1, 0, 2.0)),
        pushes.user_action(pushes.UserAction("a", {}, 1)),
    ]
    assert {push.type: type(push.data) for push in built} == declared
