import msgspec


def test_the_profile_of_a_new_player(ann) -> None:
    profile = msgspec.to_builtins(ann.give("get_profile").reply)
    profile.pop("fairness")
    assert profile == {
        "user_id": "ann",
        "gold_balance": 10_000,
        "level": 1,
        "exp": 0,
        "exp_next_level": 100,
        "time_zone": "UTC",
        "streak": {"streak_count": 0, "claimed_on": None, "next_claim_at_ms": 0},
        "stats": {},
        "recent_actions": [],
        "crash_bets": [],
        "role": "STANDARD",
    }


def test_reading_changes_and_sends_nothing(ann) -> None:
    decision = ann.give("get_profile")
    assert (decision.events, decision.pushes, decision.transfers, decision.sends) == ((), (), (), ())


def test_the_profile_is_what_initial_state_shows(ann) -> None:
    ann.give("claim_streak")
    ann.give("spin_slots", stake=10)
    assert ann.give("get_profile").reply == ann.behavior.view(ann.state)


def test_the_profile_after_some_actions(ann) -> None:
    ann.give("claim_streak")
    payouts = [ann.give("spin_slots", stake=10).reply.payout for _ in range(20)]
    profile = msgspec.to_builtins(ann.behavior.view(ann.state))
    assert profile["gold_balance"] == 10_100 - 200 + sum(payouts)
    assert profile["stats"] == {
        "slots": {
            "plays": 20,
            "wins": sum(payout > 10 for payout in payouts),
            "losses": sum(payout < 10 for payout in payouts),
            "wagered": 200,
            "won": sum(payouts),
            "ev": round((sum(payouts) - 200) / 20, 2),
        }
    }
    assert profile["streak"]["streak_count"] == 1
    assert [action["context"]["payout"] for action in profile["recent_actions"]] == payouts[:-11:-1]


def test_the_latest_statistics_push_agrees_with_the_profile(ann) -> None:
    for _ in range(7):
        pushed = ann.pushed(ann.give("spin_slots", stake=30))["stats_update"]["stats"]
    stats = msgspec.to_builtins(ann.behavior.view(ann.state).stats["slots"])
    assert pushed == {"game_type": "slots"} | {
        name: stats[name] for name in ("plays", "wins", "losses", "ev")
    }
