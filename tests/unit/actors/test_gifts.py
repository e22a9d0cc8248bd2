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
    received = ben.receive(send, ann)
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
    assert ben.pushed(ben.receive(sent.sends[0], ann)) == {
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
    ben.receive(ann.give("send_gift", to_user="ben", amount=300).sends[0], ann)
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


def test_a_gift_to_somebody_who_never_signed_in_goes_back(new_player) -> None:
    ann = new_player("ann")
    nobody = new_player("nobody", ledger=ann.ledger, signed_in=False)
    (gift,) = ann.give("send_gift", to_user="nobody", amount=300).sends
    unopened = nobody.receive(gift, ann)
    assert (unopened.reply.gold_balance, unopened.transfers, unopened.pushes) == (0, (), ())
    assert len(unopened.events) == 1
    assert nobody.behavior.is_new(nobody.state)
    assert nobody.state == nobody.behavior.initial("nobody") == nobody.replayed()
    (back,) = unopened.sends
    assert (back.to, back.name) == ("session/ann", "return_gift")
    returned = ann.receive(back, nobody)
    assert ann.pushed(returned) == {
        "profile_update": {"changes": {"gold_balance": 10_000}},
        "reward_granted": {"reward_type": "gift_returned", "amount": 300, "balance_after": 10_000},
        "user_action": {
            "action_type": "return_gift",
            "context": {"to_user": "nobody", "amount": 300},
            "server_ts": ann.now_ms,
        },
    }
    assert [tuple(t[:3]) for t in returned.transfers] == [("escrow:gift:ann:1", "player:ann", 300)]
    assert ann.state.gold == 10_000
    assert ann.ledger["escrow:gift:ann:1"] == 0
    assert ann.replayed() == ann.restored() == ann.state


def test_whoever_signs_in_after_a_gift_went_back_gets_their_welcome(new_player) -> None:
    ann = new_player("ann")
    ben = new_player("ben", ledger=ann.ledger, signed_in=False)
    ben.receive(ann.give("send_gift", to_user="ben", amount=300).sends[0], ann)
    assert ben.sign_in().reply.gold_balance == ben.state.gold == 10_000
    ben.receive(ann.give("send_gift", to_user="ben", amount=300).sends[0], ann)
    assert ben.state.gold == 10_300
    assert ben.replayed() == ben.restored() == ben.state


def test_a_full_purse_does_not_refuse_a_returned_gift(new_player) -> None:
    ann = new_player("ann")
    nobody = new_player("nobody", ledger=ann.ledger, signed_in=False)
    (back,) = nobody.receive(ann.give("send_gift", to_user="nobody", amount=300).sends[0], ann).sends
    ann.ledger["faucet:test"] -= 2**53 - 1 - 100 - ann.state.gold
    ann.ledger["player:ann"] = ann.state.gold = 2**53 - 1 - 100
    ann.receive(back, nobody)
    assert ann.state.gold == 2**53 - 1
    assert ann.ledger["house:overflow"] == 200


NO_GIFT_OF_EVES = [
    "escrow:gift:ann:1",
    "escrow:gift:eve:0",
    "escrow:gift:eve:1x",
    "escrow:crash:1",
    "house:slots",
]


@pytest.mark.parametrize("signed_in", [True, False])
@pytest.mark.parametrize(
    ("sender", "escrow"),
    [
        (None, "escrow:gift:eve:1"),
        ("session/ann", "escrow:gift:eve:1"),
        ("crash/eve", "escrow:gift:eve:1"),
        *(("session/eve", escrow) for escrow in NO_GIFT_OF_EVES),
    ],
)
def test_only_a_genuine_gift_is_received(new_player, signed_in, sender, escrow) -> None:
    ben = new_player("ben", signed_in=signed_in)
    gift = {"from_user": "eve", "amount": 5, "escrow": escrow}
    assert ben.rejection("receive_gift", sender=sender, **gift).code == "gift_not_genuine"


@pytest.mark.parametrize(
    ("sender", "escrow"),
    [
        (None, "escrow:gift:ann:1"),
        ("session/eve", "escrow:gift:ann:1"),
        ("session/ben", "escrow:gift:ann:2"),
        ("session/ben", "escrow:gift:ann:" + "9" * 5_000),
        ("session/ben", "escrow:gift:ben:1"),
        ("session/ben", "house:slots"),
    ],
)
def test_only_a_gift_that_was_sent_comes_back(ann, sender, escrow) -> None:
    ann.give("send_gift", to_user="ben", amount=5)
    returned = {"to_user": "ben", "amount": 5, "escrow": escrow}
    assert ann.rejection("return_gift", sender=sender, **returned).code == "gift_not_genuine"


def test_a_session_that_nobody_opened_sent_no_gift(new_player) -> None:
    returned = {"to_user": "ben", "amount": 5, "escrow": "escrow:gift:nobody:1"}
    nobody = new_player("nobody", signed_in=False)
    assert nobody.rejection("return_gift", sender="session/ben", **returned).code == "gift_not_genuine"


@pytest.mark.parametrize("name", ["receive_gift", "return_gift"])
def test_only_the_system_moves_gifts(ann, name) -> None:
    assert ann.behavior.commands[name].audience == "system"
    assert ann.behavior.commands[name].errors == ("gift_not_genuine",)
