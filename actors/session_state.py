"""What a session remembers. Plain data: the rules are in the features.

Kept small, since a host holds a hundred thousand of them: no object the garbage collector has to
visit except the one dictionary, and the recent actions packed into one byte string.
"""

from __future__ import annotations

import enum
from datetime import date

import msgspec


def average_net(plays: int, wagered: int, won: int) -> float:
    """``ev`` on the wire: gold won or lost per play so far, rounded to hundredths."""
    return round((won - wagered) / plays, 2) if plays else 0.0


class Role(enum.Enum):
    """What an account was given; who gives it is not the session's business. See ``actors.roles``."""

    STANDARD = "STANDARD"
    PREMIUM = "PREMIUM"
    VIP = "VIP"
    ADMIN = "ADMIN"


class GameRecord(msgspec.Struct, gc=False):
    """One player's history with one game. ``plays`` exceeds wins + losses by the ties."""

    plays: int = 0
    wins: int = 0
    losses: int = 0
    wagered: int = 0
    won: int = 0
    memory: bytes = b""
    """What the game itself keeps from play to play, in an encoding of its own (a pity counter, an
    open bet). Not shown to the client."""


class SessionState(msgspec.Struct, gc=False):
    """``server_seed`` is secret until it is rotated: it must not be shown, logged or published."""

    user_id: str
    gold: int = 0
    exp: int = 0
    level: int = 1
    time_zone: str = "UTC"
    """IANA name."""
    streak_count: int = 0
    streak_date: date | None = None
    """Local date of the latest claim, in ``streak_zone``."""
    streak_zone: str = "UTC"
    """Time zone in which the latest claim was made."""
    streak_claimed_ms: int = 0
    server_seed: bytes = b""
    """Empty until the session has been opened."""
    client_seed: str = ""
    nonce: int = 0
    """Number of the next play under this server seed."""
    gifts_sent: int = 0
    games: dict[str, GameRecord] = {}
    recent_actions: bytes = b""
    """Packed; see ``actors.actions``."""
    role: Role = Role.STANDARD
    role_change: int = 0
    """Number of the account's change of role that made it so; 0 before the first."""

    @property
    def is_new(self) -> bool:
        """Whether the session has yet to be opened: its player has never signed in."""
        return not self.server_seed
