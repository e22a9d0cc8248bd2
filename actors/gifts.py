"""Gifts of gold between players: out of one session by a durable send, into another.

The gold waits in an escrow account of the gift's own. A genuine gift is never refused: by then
the gold has left its sender, and a refused send could only be mourned. Where nobody has ever
signed in (a mistyped name, say) the gift goes back as a send of its own, and opens nothing.
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
from runtime.identity import actor_id, key_of, kind_of

GIFT_TO_SELF = "gift_to_self"
NOT_GENUINE = "gift_not_genuine"

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


class ReturnGift(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    to_user: str
    """Whom the gift was for, and who sends it back."""
    amount: GiftAmount
    escrow: str


class ReturnGiftResult(msgspec.Struct, frozen=True, gc=False):
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


class GiftReturnedUnopened(msgspec.Struct, frozen=True, gc=False, tag="gift_returned_unopened"):
    """A gift came to a session that nobody has opened. It leaves no trace in the state."""

    at_ms: int
    from_user: str
    amount: int


class GiftReturned(msgspec.Struct, frozen=True, gc=False, tag="gift_returned"):
    at_ms: int
    to_user: str
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
    number = wallet.gift_number(command.escrow, command.from_user)
    if number is None or not _comes_from(command.from_user, context):
        raise Rejected("This gift is not its sender's.", NOT_GENUINE)
    if state.is_new:
        return _return_unopened(state, command, context)
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


def _return_unopened(state: SessionState, command: ReceiveGift, context: Context) -> Decision:
    assert context.sender is not None
    returned = ReturnGift(state.user_id, command.amount, command.escrow)
    return Decision(
        reply=ReceiveGiftResult(state.gold),
        events=(GiftReturnedUnopened(context.now_ms, command.from_user, command.amount),),
        sends=(Send(context.sender, "return_gift", returned),),
    )


def _return_gift(state: SessionState, command: ReturnGift, context: Context) -> Decision:
    amount = command.amount
    number = wallet.gift_number(command.escrow, state.user_id)
    if number is None or number > state.gifts_sent or not _comes_from(command.to_user, context):
        raise Rejected("No such gift has been sent.", NOT_GENUINE)
    transfers, gold = wallet.earn_what_fits(
        state.gold, state.user_id, command.escrow, amount, "gift returned"
    )
    event = GiftReturned(context.now_ms, command.to_user, amount, gold)
    return Decision(
        reply=ReturnGiftResult(gold),
        events=(event,),
        pushes=(
            pushes.profile_update(gold_balance=gold),
            pushes.reward_granted("gift_returned", amount, gold),
            pushes.user_action(_returned_action(event)),
        ),
        transfers=transfers,
    )


def _comes_from(user_id: str, context: Context) -> bool:
    """Whether this is a durable send of that player's session; the runtime vouches for the sender."""
    sender = context.sender
    return sender is not None and (kind_of(sender), key_of(sender)) == (kind_of(context.actor), user_id)


def _sent_action(event: GiftSent) -> UserAction:
    return UserAction("send_gift", {"to_user": event.to_user, "amount": event.amount}, event.at_ms)


def _received_action(event: GiftReceived) -> UserAction:
    return UserAction("receive_gift", {"from_user": event.from_user, "amount": event.amount}, event.at_ms)


def _returned_action(event: GiftReturned) -> UserAction:
    return UserAction("return_gift", {"to_user": event.to_user, "amount": event.amount}, event.at_ms)


def _gift_sent(state: SessionState, event: GiftSent) -> None:
    state.gold = event.gold_after
    state.gifts_sent = event.number
    remember(state, _sent_action(event))


def _gift_received(state: SessionState, event: GiftReceived) -> None:
    state.gold = event.gold_after
    remember(state, _received_action(event))


def _gift_returned_unopened(state: SessionState, event: GiftReturnedUnopened) -> None:
    pass


def _gift_returned(state: SessionState, event: GiftReturned) -> None:
    state.gold = event.gold_after
    remember(state, _returned_action(event))


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
                "Take a gift out of its escrow; a genuine one is never refused.",
                audience="system",
                errors=(NOT_GENUINE,),
            ),
            _receive_gift,
        ),
        Command(
            CommandSpec(
                "return_gift",
                ReturnGift,
                ReturnGiftResult,
                "Take back a gift to somebody who has never signed in; a genuine one is never refused.",
                audience="system",
                errors=(NOT_GENUINE,),
            ),
            _return_gift,
        ),
    ),
    events=(
        Event(GiftSent, _gift_sent),
        Event(GiftReceived, _gift_received),
        Event(GiftReturnedUnopened, _gift_returned_unopened),
        Event(GiftReturned, _gift_returned),
    ),
)
