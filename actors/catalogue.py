"""The one place where games, features and kinds of actors are registered."""

from __future__ import annotations

from typing import Any

from actors.actions import ACTIONS
from actors.feature import Feature
from actors.games.slots import SLOTS
from actors.gifts import GIFTS
from actors.profile import PROFILE
from actors.seeds import SECRET_EVENTS, SEEDS
from actors.session import Session
from actors.streak import STREAK
from actors.time_zone import TIME_ZONE
from runtime.behavior import Behavior

GAMES: tuple[Feature, ...] = (SLOTS,)
"""Every game that can be played: a new one is its file in ``actors/games`` and its name here."""

FEATURES: tuple[Feature, ...] = (PROFILE, TIME_ZONE, STREAK, SEEDS, GIFTS, ACTIONS)

__all__ = ["FEATURES", "GAMES", "SECRET_EVENTS", "behaviors"]


def behaviors() -> dict[str, Behavior[Any]]:
    """Every kind of actor, by kind. New instances each time: their placement may be set."""
    session = Session((*FEATURES, *GAMES))
    return {session.kind: session}
