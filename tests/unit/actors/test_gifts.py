import msgspec
import pytest


def test_a_gift_goes_through_an_escrow_of_its_own(new_player) -> None:
    ann = new_player("ann")
    ben = new_player("ben", ledger=ann.ledger)
    sent = ann.give("send_gift", to_user="ben", amount=300)
    assert [tuple(transfer[:3]) for transfer in sent.transfers] == [("player:ann", "escrow:gift:ann:1", 300)]
    assert ann.state.gold == sent.reply.gold_balance == 9_700
    (send,) = sent.sends
    assert (send.to, send.name) == ("session/ben", "receive_gift")
    received = ben.receive(send)
    assert ben.state.gold == received.reply.gold_balance == 10_300
    assert ann.ledger["escrow:gift:ann:1"] == 0
    assert received.sends == ()


def test_every_gift_has_another_escrow(ann) -> None:
    escrows = [ann.give("send_gift", to_user="ben", amount=1).transfers[0].credit for _ in range(3)]
    assert escrows == ["escrow:gift:ann:1", "escrow:gift:ann:2", "escrow:gift:ann:3"]


def test_pushes(new_player) -> None:
    ann = new_player("ann")
    ben = new_player("ben", ledger=ann.ledger)
    sent = ann.give("send_gift", to_user="ben", amount=300)
    assert ann.pushed(sent) == {
        "profile_update": {"changes": {"gold_balance": 9_700}},
        "user_action": {
            "action_type": "send_gift",
            "context": {"to_user": "ben", "amount": 300},
            "server_ts": ann.now_ms,
        },
    }
    assert ben.pushed(ben.receive(sent.sends[0])) == {
        "profile_update": {"changes": {"gold_balance": 10_300}},
        "reward_granted": {"reward_type": "gift", "amount": 300, "balance_after": 10_300},
        "user_action": {
            "action_type": "receive_gift",
            "context": {"from_user": "ann", "amount": 300},
            "server_ts": ben.now_ms,
        },
    }


def test_a_full_purse_does_not_refuse_a_gift(new_player) -> None:
    ann = new_player("ann")
    ben = new_player("ben", ledger=ann.ledger)
    ann.ledger["faucet:test"] -= 2**53 - 1 - 100 - ben.state.gold
    ann.ledger["player:ben"] = ben.state.gold = 2**53 - 1 - 100
    ben.receive(ann.give("send_gift", to_user="ben", amount=300).sends[0])
    assert ben.state.gold == 2**53 - 1
    assert ann.ledger["escrow:gift:ann:1"] == 0
    assert ann.ledger["house:overflow"] == 200


def test_rejections(ann) -> None:
    assert ann.rejection("send_gift", to_user="ann", amount=1).code == "gift_to_self"
    assert ann.rejection("send_gift", to_user="ben", amount=10_001).code == "insufficient_funds"


@pytest.mark.parametrize("amount", [0, -5, 1_000_001, 1.5, True, "7"])
def test_amounts_out_of_bounds_are_refused_at_the_door(ann, amount) -> None:
    with pytest.raises(msgspec.ValidationError):
        ann.give("send_gift", to_user="ben", amount=amount)


@pytest.mark.parametrize("to_user", ["", "a/b", "ben\n", "ben ", "b" * 65, "é"])
def test_names_that_are_no_user_are_refused_at_the_door(ann, to_user) -> None:
    with pytest.raises(msgspec.ValidationError):
        ann.give("send_gift", to_user=to_user, amount=1)


def test_only_the_system_receives_gifts(ann) -> None:
    assert ann.behavior.commands["receive_gift"].audience == "system"
    assert ann.behavior.commands["receive_gift"].errors == ()
