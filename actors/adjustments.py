"""Gold that an administrator gives to a player, or takes.

It moves through an account of its own, with the administrator and the reason on every transfer, so
that the ledger alone says who moved what and why. Who is an administrator is decided at the door.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from actors import pushes, wallet
from actors.actions import remember
from actors.feature import Command, Event, Feature
from actors.gifts import UserId
from actors.pushes import UserAction
from actors.session_state import SessionState
from runtime.behavior import CommandSpec, Context, Decision
from runtime.errors import Rejected

ADJUSTMENT_MAX = 10**12
NO_ADJUSTMENT = "no_adjustment"

# No control characters: the reason becomes text in the database. (?![\s\S]) is the end of the text.
Reason = Annotated[str, Meta(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+(?![\s\S])")]


class AdjustGold(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    amount: Annotated[int, Meta(ge=-ADJUSTMENT_MAX, le=ADJUSTMENT_MAX)]
    """Gold to give; to take, when negative. Not 0."""
    reason: Reason
    by: UserId
    """User id of the administrator."""


class AdjustGoldResult(msgspec.Struct, frozen=True, gc=False):
    amount: int
    gold_balance: int


class GoldAdjusted(msgspec.Struct, frozen=True, gc=False, tag="gold_adjusted"):
    at_ms: int
    amount: int
    by: str
    reason: str
    gold_after: int


def _adjust_gold(state: SessionState, command: AdjustGold, context: Context) -> Decision:
    amount, user_id = command.amount, state.user_id
    reason = f"by {command.by}: {command.reason}"
    if amount > 0:
        transfer, gold = wallet.earn(state.gold, user_id, wallet.FAUCET_ADMIN, amount, reason)
    elif amount < 0:
        transfer, gold = wallet.pay(state.gold, user_id, wallet.FAUCET_ADMIN, -amount, reason)
    else:
        raise Rejected("An adjustment gives or takes at least 1 gold.", NO_ADJUSTMENT)
    event = GoldAdjusted(context.now_ms, amount, command.by, command.reason, gold)
    shown = [pushes.profile_update(gold_balance=gold)]
    if amount > 0:
        shown.append(pushes.reward_granted("admin", amount, gold))
    shown.append(pushes.user_action(_action(event)))
    return Decision(
        reply=AdjustGoldResult(amount, gold), events=(event,), pushes=shown, transfers=(transfer,)
    )


def _action(event: GoldAdjusted) -> UserAction:
    # Neither who nor why: the reason is written for other administrators.
    return UserAction("gold_adjusted", {"amount": event.amount}, event.at_ms)


def _gold_adjusted(state: SessionState, event: GoldAdjusted) -> None:
    state.gold = event.gold_after
    remember(state, _action(event))


ADJUSTMENTS = Feature(
    name="adjustments",
    commands=(
        Command(
            CommandSpec(
                "adjust_gold",
                AdjustGold,
                AdjustGoldResult,
                "Give gold to the player, or take it, on an administrator's word.",
                audience="system",
                errors=(NO_ADJUSTMENT, wallet.INSUFFICIENT_FUNDS, wallet.GOLD_LIMIT),
            ),
            _adjust_gold,
        ),
    ),
    events=(Event(GoldAdjusted, _gold_adjusted),),
)
