"""The outgoing events every feature may send, field by field as clients know them.

Owns their shape, not the moment they are sent. A field that is left out has not changed.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

from actors.session_state import Role
from runtime.behavior import Push, PushSpec

INTEGER_MAX = 2**53 - 1
"""The largest integer every JSON client holds exactly."""

ExactInteger = Annotated[int, Meta(ge=-INTEGER_MAX, le=INTEGER_MAX)]
# Bounds keep infinities and NaN out, which JSON cannot say.
FiniteFloat = Annotated[float, Meta(ge=-1e300, le=1e300)]
Scalar = ExactInteger | FiniteFloat | bool | Annotated[str, Meta(max_length=256)] | None
ActionContext = dict[str, Scalar]


class ProfileChanges(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    gold_balance: int | UnsetType = UNSET
    level: int | UnsetType = UNSET
    exp: int | UnsetType = UNSET
    role: Role | UnsetType = UNSET


class ProfileUpdate(msgspec.Struct, frozen=True, gc=False):
    changes: ProfileChanges


class RewardGranted(msgspec.Struct, frozen=True, gc=False):
    reward_type: str
    amount: int
    balance_after: int


class StreakUpdate(msgspec.Struct, frozen=True, gc=False):
    action_type: str
    streak_count: int


class GameStatistics(msgspec.Struct, frozen=True, gc=False):
    """``ev`` is the gold won or lost per play so far."""

    game_type: str
    plays: int
    wins: int
    losses: int
    ev: float


class StatsUpdate(msgspec.Struct, frozen=True, gc=False):
    stats: GameStatistics


class UserAction(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """Times are in milliseconds since the epoch; ``client_ts`` is what the client said."""

    action_type: str
    context: ActionContext
    server_ts: int
    client_ts: int | UnsetType = UNSET


PUSHES = (
    PushSpec("profile_update", ProfileUpdate, "Gold, level, experience or role changed; only what changed."),
    PushSpec("reward_granted", RewardGranted, "The player was given gold."),
    PushSpec("streak_update", StreakUpdate, "The daily streak moved."),
    PushSpec("stats_update", StatsUpdate, "The player's statistics of one game after a play."),
    PushSpec("user_action", UserAction, "An action was added to the player's recent actions."),
)


def profile_update(
    gold_balance: int | UnsetType = UNSET,
    level: int | UnsetType = UNSET,
    exp: int | UnsetType = UNSET,
    role: Role | UnsetType = UNSET,
) -> Push:
    return Push("profile_update", ProfileUpdate(ProfileChanges(gold_balance, level, exp, role)))


def reward_granted(reward_type: str, amount: int, balance_after: int) -> Push:
    return Push("reward_granted", RewardGranted(reward_type, amount, balance_after))


def streak_update(action_type: str, streak_count: int) -> Push:
    return Push("streak_update", StreakUpdate(action_type, streak_count))


def stats_update(statistics: GameStatistics) -> Push:
    return Push("stats_update", StatsUpdate(statistics))


def user_action(action: UserAction) -> Push:
    return Push("user_action", action)
