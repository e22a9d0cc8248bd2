"""What a player's first screen shows, in one answer: the profile without what only a game needs,
and what is open right now."""

from __future__ import annotations

from datetime import date

import msgspec

from actors import progress
from actors.actions import recent
from actors.crash.bets import open_bets, settled_bets
from actors.crash.messages import GetCrashBetsResult
from actors.feature import Command, Feature
from actors.profile import GameView, statistics_of
from actors.pushes import UserAction
from actors.session_state import Role, SessionState
from actors.streak import next_claim_ms, reward_for, standing
from runtime.behavior import CommandSpec, Context, Decision


class DashboardStreak(msgspec.Struct, frozen=True, gc=False):
    """``next_reward`` and ``next_count`` are what a claim now, or else the next one in time, comes to.
    ``next_claim_at_ms`` is 0 before the first claim."""

    streak_count: int
    claimed_on: date | None
    claimable: bool
    next_count: int
    next_reward: int
    next_claim_at_ms: int


class Dashboard(msgspec.Struct, frozen=True, gc=False):
    user_id: str
    role: Role
    gold_balance: int
    level: int
    exp: int
    exp_next_level: int
    """Experience at which the next level begins."""
    streak: DashboardStreak
    stats: dict[str, GameView]
    """By game type; only games that were played."""
    recent_actions: list[UserAction]
    """Newest first."""
    crash_bets: GetCrashBetsResult


class GetDashboard(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    pass


def _get_dashboard(state: SessionState, command: GetDashboard, context: Context) -> Decision:
    now = standing(state, context.now_ms)
    streak = DashboardStreak(
        state.streak_count,
        state.streak_date,
        now.open,
        now.next_count,
        reward_for(now.next_count),
        next_claim_ms(state),
    )
    return Decision(
        Dashboard(
            state.user_id,
            state.role,
            state.gold,
            state.level,
            state.exp,
            progress.exp_to_reach(state.level + 1),
            streak,
            statistics_of(state),
            recent(state),
            GetCrashBetsResult(open_bets(state), settled_bets(state)),
        )
    )


DASHBOARD = Feature(
    name="dashboard",
    commands=(
        Command(
            CommandSpec(
                "get_dashboard",
                GetDashboard,
                Dashboard,
                "Everything of the player that a first screen shows.",
            ),
            _get_dashboard,
        ),
    ),
)
