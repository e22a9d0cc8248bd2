"""The one place where games, features and kinds of actors are registered."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from actors.actions import ACTIONS
from actors.adjustments import ADJUSTMENTS
from actors.crash.betting import crash_feature
from actors.crash.hashes import RoundHashes
from actors.crash.round import TableRules
from actors.crash.table import CrashTable
from actors.dashboard import DASHBOARD
from actors.feature import Feature
from actors.games.slots import SLOTS
from actors.gifts import GIFTS
from actors.profile import PROFILE
from actors.roles import ROLES
from actors.seeds import SECRET_EVENTS, SEEDS
from actors.session import Session
from actors.streak import STREAK
from actors.time_zone import TIME_ZONE
from runtime.behavior import Behavior

CRASH_TABLES: Mapping[str, TableRules] = {"main": TableRules()}
"""The tables of Crash that there are when nothing else is configured."""


def games(crash_tables: Mapping[str, TableRules] = CRASH_TABLES) -> tuple[Feature, ...]:
    """Every game that can be played: a new one is its file in ``actors/games`` and its name here."""
    return (SLOTS, crash_feature(crash_tables))


GAMES: tuple[Feature, ...] = games()

FEATURES: tuple[Feature, ...] = (
    PROFILE,
    DASHBOARD,
    TIME_ZONE,
    STREAK,
    SEEDS,
    GIFTS,
    ACTIONS,
    ROLES,
    ADJUSTMENTS,
)

__all__ = ["CRASH_TABLES", "FEATURES", "GAMES", "SECRET_EVENTS", "behaviors", "games"]


def behaviors(
    tables: Mapping[str, TableRules] | None = None, chains: RoundHashes | None = None
) -> dict[str, Behavior[Any]]:
    """Every kind of actor, by kind. New instances each time: their placement may be set.

    Args:
        tables: the configured tables of Crash; None: ``CRASH_TABLES``.
        chains: what decides their rounds, in a process that may hold a table.

    Raises:
        ValueError: a table cannot have that name.
    """
    rules = CRASH_TABLES if tables is None else tables
    session = Session((*FEATURES, *games(rules)))
    table = CrashTable(rules, chains)
    return {session.kind: session, table.kind: table}
