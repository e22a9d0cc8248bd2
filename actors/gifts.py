"""Gifts of gold between players: out of one session by a durable send, into another.

The gold waits in an escrow account of the gift's own. The receiver never refuses: by then the
gold has left its sender, and a refused send could only be mourned.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from actors import pushes, wallet
from actors.actions import remember
from actors.feature import Command, Event, Feature
from actors.pushes import UserAction
from actors.session_state import SessionState
from runtime.behavior import CommandSpec, Context, Decision, Send
from runtime.errors import Rejected
from runtime.identity import actor_id, kind_of

GIFT_TO_SELF = "gift_to_self"

# (?![\s\S]) is the end of the text; "$" would let a final line feed pass.
UserId = Annotated[str, Meta(max_length=64, pattern=r"^[A-Za-z0-9._~-]+(?![\s\S])")]
GiftAmount = Annotated[int, Meta(ge=1, le=1_000_000)]


class SendGift(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    to_user: UserId
    amount: GiftAmount


class SendGiftResult(msgspec.Struct, frozen=True, gc=False):
    to_user: str
    amount: int
    gold_balance: int


class ReceiveGift(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    from_user: str
    amount: GiftAmount
    escrow: str


class ReceiveGiftResult(msgspec.Struct, frozen=True, gc=False):
    gold_balance: int


class GiftSent(msgspec.Struct, frozen=True, gc=False, tag="gift_sent"):
    at_ms: int
    number: int
    to_user: str
    amount: int
    gold_after: int


class GiftReceived(msgspec.Struct, frozen=True, gc=False, tag="gift_received"):
    at_ms: int
    from_user: str
    amount: int
    gold_after: int


def _send_gift(state: SessionState, command: SendGift, context: Context) -> Decision:
    to_user, amount = command.to_user, command.amount
    if to_user == state.user_id:
        raise Rejected("A gift goes to somebody else.", GIFT_TO_SELF)
    # The number makes the account unique for ever; a command id is, only as long as it is kept.
    number = state.gifts_sent + 1
    escrow = wallet.gift_escrow(state.user_id, number)
    transfer, gold = wallet.pay(state.gold, state.user_id, escrow, amount, "gift")
    event = GiftSent(context.now_ms, number, to_user, amount, gold)
    receiver = actor_id(kind_of(context.actor), to_user)
    return Decision(
        reply=SendGiftResult(to_user, amount, gold),
        events=(event,),
        pushes=(pushes.profile_update(gold_balance=gold), pushes.user_action(_sent_action(event))),
        transfers=(transfer,),
        sends=(Send(receiver, "receive_gift", ReceiveGift(state.user_id, amount, escrow)),),
    )


def _receive_gift(state: SessionState, command: ReceiveGift, context: Context) -> Decision:
    amount = command.amount
    transfers, gold = wallet.earn_what_fits(state.gold, state.user_id, command.escrow, amount, "gift")
    event = GiftReceived(context.now_ms, command.from_user, amount, gold)
    return Decision(
        reply=ReceiveGiftResult(gold),
        events=(event,),
        pushes=(
            pushes.profile_update(gold_balance=gold),
            pushes.reward_granted("gift", amount, gold),
            pushes.user_action(_received_action(event)),
        ),
        transfers=transfers,
    )


def _sent_action(event: GiftSent) -> UserAction:
    return UserAction("send_gift", {"to_user": event.to_user, "amount": event.amount}, event.at_ms)


def _received_action(event: GiftReceived) -> UserAction:
    return UserAction("receive_gift", {"from_user": event.from_user, "amount": event.amount}, event.at_ms)


def _gift_sent(state: SessionState, event: GiftSent) -> None:
    state.gold = event.gold_after
    state.gifts_sent = event.number
    remember(state, _sent_action(event))


def _gift_received(state: SessionState, event: GiftReceived) -> None:
    state.gold = event.gold_after
    remember(state, _received_action(event))


GIFTS = Feature(
    name="gifts",
    commands=(
        Command(
            CommandSpec(
                "send_gift",
                SendGift,
                SendGiftResult,
                "Give gold to another player.",
                errors=(GIFT_TO_SELF, wallet.INSUFFICIENT_FUNDS),
            ),
            _send_gift,
        ),
        Command(
            CommandSpec(
                "receive_gift",
                ReceiveGift,
                ReceiveGiftResult,
                "Take a gift out of its escrow; never refused.",
                audience="system",
            ),
            _receive_gift,
        ),
    ),
    events=(Event(GiftSent, _gift_sent), Event(GiftReceived, _gift_received)),
)
