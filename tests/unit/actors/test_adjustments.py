import msgspec
import pytest

from actors.adjustments import ADJUSTMENT_MAX
from actors.wallet import GOLD_MAX


def test_a_grant(ann) -> None:
    decision = ann.give("adjust_gold", amount=500, reason="lost bag", by="u_boss")
    assert (decision.reply.amount, decision.reply.gold_balance) == (500, 10_500)
    (transfer,) = decision.transfers
    assert tuple(transfer) == ("faucet:admin", "player:ann", 500, "by u_boss: lost bag")
    assert ann.pushed(decision) == {
        "profile_update": {"changes": {"gold_balance": 10_500}},
        "reward_granted": {"reward_type": "admin", "amount": 500, "balance_after": 10_500},
        "user_action": {
            "action_type": "gold_adjusted",
            "context": {"amount": 500},
            "server_ts": ann.now_ms,
        },
    }


def test_gold_is_taken_to_the_last_coin_and_not_below(ann) -> None:
    assert ann.rejection("adjust_gold", amount=-10_001, reason="x", by="u_boss").code == "insufficient_funds"
    decision = ann.give("adjust_gold", amount=-10_000, reason="fraud", by="u_boss")
    assert decision.reply.gold_balance == 0
    assert tuple(decision.transfers[0]) == ("player:ann", "faucet:admin", 10_000, "by u_boss: fraud")
    assert set(ann.pushed(decision)) == {"profile_update", "user_action"}, "taking is no reward"
    assert ann.rejection("adjust_gold", amount=-1, reason="x", by="u_boss").code == "insufficient_funds"


def test_the_player_is_not_shown_who_and_why(ann) -> None:
    decision = ann.give("adjust_gold", amount=-7, reason="suspected of fraud", by="u_boss")
    shown = msgspec.json.encode([push.data for push in decision.pushes])
    shown += msgspec.json.encode(ann.behavior.view(ann.state))
    assert b"fraud" not in shown
    assert b"u_boss" not in shown


def test_a_purse_that_is_full(ann) -> None:
    ann.state.gold = GOLD_MAX - 5
    ann.ledger["player:ann"] = ann.state.gold
    assert ann.rejection("adjust_gold", amount=6, reason="x", by="u_boss").code == "gold_limit"


def test_nothing_is_no_adjustment(ann) -> None:
    assert ann.rejection("adjust_gold", amount=0, reason="x", by="u_boss").code == "no_adjustment"


@pytest.mark.parametrize(
    "change",
    [
        {"reason": ""},
        {"reason": "x" * 201},
        {"reason": "a\x00b"},
        {"reason": "a\n"},
        {"by": ""},
        {"by": "u boss"},
        {"amount": ADJUSTMENT_MAX + 1},
        {"amount": 1.5},
        {"amount": True},
    ],
)
def test_what_does_not_fit(ann, change) -> None:
    with pytest.raises(msgspec.ValidationError):
        ann.give("adjust_gold", **({"amount": 1, "reason": "x", "by": "u_boss"} | change))


def test_replay_and_snapshot(ann) -> None:
    ann.give("adjust_gold", amount=-3, reason="ünïcode ' --", by="u_boss")
    assert ann.replayed() == ann.restored() == ann.state
