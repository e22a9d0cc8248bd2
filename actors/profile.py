"""What a player sees of their session: the profile, without a single secret."""

from __future__ import annotations

from datetime import date

import msgspec

from actors import progress
from actors.actions import recent
from actors.crash.bets import open_bets
from actors.crash.messages import CrashBet
from actors.feature import Command, Feature
from actors.games.fairness import commitment
from actors.pushes import UserAction
from actors.session_state import Role, SessionState, average_net
from actors.streak import next_claim_ms
from runtime.behavior import CommandSpec, Context, Decision


class StreakView(msgspec.Struct, frozen=True, gc=False):
    """``next_claim_at_ms`` is 0 before the first claim. A missed day shows only at the next claim."""

    streak_count: int
    claimed_on: date | None
    next_claim_at_ms: int


class FairnessView(msgspec.Struct, frozen=True, gc=False):
    """What the next play will be drawn from."""

    server_seed_hash: str
    client_seed: str
    nonce: int


class GameView(msgspec.Struct, frozen=True, gc=False):
    plays: int
    wins: int
    losses: int
    wagered: int
    won: int
    ev: float


class Profile(msgspec.Struct, frozen=True, gc=False):
    user_id: str
    gold_balance: int
    level: int
    exp: int
    exp_next_level: int
    """Experience at which the next level begins."""
    time_zone: str
    streak: StreakView
    fairness: FairnessView
    stats: dict[str, GameView]
    """By game type; only games that were played."""
    recent_actions: list[UserAction]
    """Newest first."""
    crash_bets: list[CrashBet] = []
    """Those that are not settled yet."""
    role: Role = Role.STANDARD


def profile_of(state: SessionState) -> Profile:
    return Profile(
        state.user_id,
        state.gold,
        state.level,
        state.exp,
        progress.exp_to_reach(state.level + 1),
        state.time_zone,
        StreakView(state.streak_count, state.streak_date, next_claim_ms(state)),
        FairnessView(commitment(state.server_seed), state.client_seed, state.nonce),
        statistics_of(state),
        recent(state),
        open_bets(state),
        state.role,
    )


def statistics_of(state: SessionState) -> dict[str, GameView]:
    return {
        game: GameView(
            record.plays,
            record.wins,
            record.losses,
            record.wagered,
            record.won,
            average_net(record.plays, record.wagered, record.won),
        )
        for game, record in state.games.items()
        if record.plays
    }


class GetProfile(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    pass


def _get_profile(state: SessionState, command: GetProfile, context: Context) -> Decision:
    return Decision(reply=profile_of(state))


PROFILE = Feature(
    name="profile",
    commands=(
        Command(
            CommandSpec("get_profile", GetProfile, Profile, "The player's profile, as in ``initial_state``."),
            _get_profile,
        ),
    ),
)
