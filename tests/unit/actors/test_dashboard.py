import msgspec

from actors.streak import reward_for

DAY_MS = 86_400_000


def shown(player) -> dict:
    return msgspec.to_builtins(player.give("get_dashboard").reply)


def test_the_dashboard_of_a_new_player(ann) -> None:
    assert shown(ann) == {
        "user_id": "ann",
        "role": "STANDARD",
        "gold_balance": 10_000,
        "level": 1,
        "exp": 0,
        "exp_next_level": 100,
        "streak": {
            "streak_count": 0,
            "claimed_on": None,
            "claimable": True,
            "next_count": 1,
            "next_reward": 100,
            "next_claim_at_ms": 0,
        },
        "stats": {},
        "recent_actions": [],
        "crash_bets": {"open": [], "settled": []},
    }


def test_it_promises_the_reward_that_a_claim_gives(ann) -> None:
    for _ in range(3):
        before = shown(ann)["streak"]
        assert before["claimable"]
        result = ann.give("claim_streak").reply
        assert (before["next_count"], before["next_reward"]) == (result.streak_count, result.reward)
        after = shown(ann)["streak"]
        assert not after["claimable"]
        assert after["next_claim_at_ms"] == result.next_claim_at_ms
        assert after["next_reward"] == reward_for(result.streak_count + 1)
        ann.now_ms += DAY_MS
    ann.now_ms += DAY_MS
    missed = shown(ann)["streak"]
    assert (missed["streak_count"], missed["next_count"], missed["next_reward"]) == (3, 1, 100)


def test_it_agrees_with_the_profile(ann) -> None:
    ann.give("claim_streak")
    for _ in range(5):
        ann.give("spin_slots", stake=10)
    ann.give("set_role", role="VIP", change=1)
    profile = msgspec.to_builtins(ann.give("get_profile").reply)
    dashboard = shown(ann)
    for name in ("gold_balance", "level", "exp", "exp_next_level", "stats", "recent_actions", "role"):
        assert dashboard[name] == profile[name], name


def test_it_shows_bets_and_no_seed(ann) -> None:
    ann.give("place_crash_bet", stake=10)
    dashboard = shown(ann)
    assert [bet["status"] for bet in dashboard["crash_bets"]["open"]] == ["pending"]
    assert dashboard["gold_balance"] == 9_990
    assert ann.state.server_seed.hex() not in str(dashboard)


def test_reading_changes_nothing(ann) -> None:
    decision = ann.give("get_dashboard")
    assert (decision.events, decision.pushes, decision.transfers) == ((), (), ())
