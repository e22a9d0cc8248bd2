"""The daily streak: one claim per local calendar date, a reward that grows with the days in a row.

The rule under a changing time zone. A claim is dated in the zone the player has set; the zone of
the latest claim is kept beside its date. Another claim

- opens when the date is later than the claimed one *in both zones*, the claim's and the present
  one, and, if they differ, ``ZONE_CHANGE_WAIT_MS`` after the latest claim;
- continues the streak while the next day has not yet passed *in either zone*, otherwise the
  streak begins again at 1.

Dates of claims therefore grow strictly, whatever the zone. The world's zones lie two dates apart at
most, so moving to and fro can never win more than two claims in a lifetime. Moving west costs a
wait but not the streak; it can excuse a day that the west has not finished yet. Without a change
of zone it is simply one claim per date: 23:59 and 00:01 are two days.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import NamedTuple

import msgspec

from actors import pushes, wallet
from actors.actions import remember
from actors.feature import Command, Event, Feature
from actors.pushes import UserAction
from actors.session_state import SessionState
from actors.time_zone import day_begins_ms, local_date, local_time
from runtime.behavior import CommandSpec, Context, Decision
from runtime.errors import Rejected

ZONE_CHANGE_WAIT_MS = 12 * 3_600_000
"""Keeps a run around the world's midnights from being worth the while; half a day, so that an
honest traveller still has the other half to claim in."""

REWARD_STEP = 100
REWARD_DAYS_MAX = 10

ALREADY_CLAIMED = "streak_already_claimed"

_ONE_DAY = timedelta(days=1)


def reward_for(streak_count: int) -> int:
    """Gold for the n-th day in a row: 100, 200, … 1,000, and 1,000 from the tenth day on."""
    return REWARD_STEP * min(streak_count, REWARD_DAYS_MAX)


class Standing(NamedTuple):
    """Where a player stands at one moment."""

    today: date
    """The date a claim would carry."""
    next_count: int
    """The streak after a claim now."""
    open: bool


def standing(state: SessionState, now_ms: int) -> Standing:
    today = local_date(now_ms, state.time_zone)
    claimed = state.streak_date
    if claimed is None:
        return Standing(today, 1, True)
    earlier = today
    waited = True
    if state.streak_zone != state.time_zone:
        earlier = min(today, local_date(now_ms, state.streak_zone))
        waited = now_ms >= state.streak_claimed_ms + ZONE_CHANGE_WAIT_MS
    next_count = state.streak_count + 1 if earlier <= claimed + _ONE_DAY else 1
    return Standing(today, next_count, earlier > claimed and waited)


def next_claim_ms(state: SessionState) -> int:
    """When the next claim opens, in ms since the epoch; 0 before the first claim."""
    if state.streak_date is None:
        return 0
    tomorrow = state.streak_date + _ONE_DAY
    opens = day_begins_ms(tomorrow, state.time_zone)
    if state.streak_zone != state.time_zone:
        opens = max(
            opens,
            day_begins_ms(tomorrow, state.streak_zone),
            state.streak_claimed_ms + ZONE_CHANGE_WAIT_MS,
        )
    return opens


class ClaimStreak(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    pass


class ClaimStreakResult(msgspec.Struct, frozen=True, gc=False):
    streak_count: int
    reward: int
    claimed_on: date
    """The player's local date."""
    next_claim_at_ms: int
    gold_balance: int


class StreakClaimed(msgspec.Struct, frozen=True, gc=False, tag="streak_claimed"):
    at_ms: int
    claimed_on: date
    time_zone: str
    streak_count: int
    reward: int
    gold_after: int


def _claim_streak(state: SessionState, command: ClaimStreak, context: Context) -> Decision:
    now_ms = context.now_ms
    today, count, is_open = standing(state, now_ms)
    if not is_open:
        raise Rejected(f"Already claimed. {_opening(state, now_ms)}", ALREADY_CLAIMED)
    reward = reward_for(count)
    transfer, gold = wallet.earn(state.gold, state.user_id, wallet.FAUCET_STREAK, reward, "daily streak")
    event = StreakClaimed(now_ms, today, state.time_zone, count, reward, gold)
    return Decision(
        reply=ClaimStreakResult(count, reward, today, day_begins_ms(today + _ONE_DAY, state.time_zone), gold),
        events=(event,),
        pushes=(
            pushes.profile_update(gold_balance=gold),
            pushes.reward_granted("daily_streak", reward, gold),
            pushes.streak_update("claim_streak", count),
            pushes.user_action(_action(event)),
        ),
        transfers=(transfer,),
    )


def _opening(state: SessionState, now_ms: int) -> str:
    opens_ms = next_claim_ms(state)
    minutes = -(-(opens_ms - now_ms) // 60_000)
    moment = local_time(opens_ms, state.time_zone).strftime("%Y-%m-%d %H:%M")
    return f"The next claim opens at {moment} {state.time_zone}, in {minutes // 60} h {minutes % 60} min."


def _action(event: StreakClaimed) -> UserAction:
    context: pushes.ActionContext = {"streak_count": event.streak_count, "reward": event.reward}
    return UserAction("claim_streak", context, event.at_ms)


def _streak_claimed(state: SessionState, event: StreakClaimed) -> None:
    state.gold = event.gold_after
    state.streak_count = event.streak_count
    state.streak_date = event.claimed_on
    state.streak_zone = event.time_zone
    state.streak_claimed_ms = event.at_ms
    remember(state, _action(event))


STREAK = Feature(
    name="streak",
    commands=(
        Command(
            CommandSpec(
                "claim_streak",
                ClaimStreak,
                ClaimStreakResult,
                "Claim today's reward of the daily streak.",
                errors=(ALREADY_CLAIMED, wallet.GOLD_LIMIT),
            ),
            _claim_streak,
        ),
    ),
    events=(Event(StreakClaimed, _streak_claimed),),
)
