"""The events of a Crash table as types. Owns their shapes; what they mean for the table is elsewhere.

Multipliers and crash points are floats with two decimals, times are ms since the Unix epoch by the
server's clock, gold is whole. Unknown fields are ignored, so that a newer server can be read.
"""

from __future__ import annotations

from typing import Union

import msgspec

from clients.errors import ProtocolViolation
from clients.protocol import Broadcast


class CrashBet(msgspec.Struct, frozen=True):
    """A bet as everybody at the table sees it."""

    user_id: str
    stake: int
    auto_cash_out: float | None = None
    multiplier: float | None = None
    """At which it was cashed out; None while it was not."""
    payout: int = 0


class CashOut(msgspec.Struct, frozen=True):
    user_id: str
    multiplier: float
    payout: int


class FinishedRound(msgspec.Struct, frozen=True):
    """``ended`` is ``crashed``, or ``forced`` when the house's liability had reached its cap;
    ``multiplier`` is where it ended, and equals ``crash_point`` unless it was forced."""

    round: int
    hash: str
    crash_point: float
    ended: str
    multiplier: float


class _OfARound(msgspec.Struct, frozen=True):
    table: str
    round: int


class CrashState(_OfARound, frozen=True):
    """The whole table: the first event, and again after any discontinuity. ``round`` 0: none yet."""

    phase: str
    """``betting``, ``running``, ``crashed`` or ``pause``."""
    betting_ends_ms: int | None = None
    started_ms: int | None = None
    next_round_ms: int | None = None
    players: int = 0
    staked: int = 0
    bets: list[CrashBet] = []
    """At most 100."""
    history: list[FinishedRound] = []
    """The latest 10, newest first."""
    previous_hash: str | None = None
    stake_min: int | None = None
    stake_max: int | None = None


class CrashBettingOpened(_OfARound, frozen=True):
    betting_ends_ms: int
    server_ms: int


class CrashBetsPlaced(_OfARound, frozen=True):
    """``players`` and ``staked`` are the round's totals so far; ``bets`` are a few of the new ones."""

    bets: list[CrashBet]
    players: int
    staked: int


class CrashStarted(_OfARound, frozen=True):
    started_ms: int
    players: int
    staked: int


class CrashTick(_OfARound, frozen=True):
    elapsed_ms: int
    multiplier: float


class CrashCashedOut(_OfARound, frozen=True):
    """``cashed_out`` and ``paid`` are the round's totals so far; ``cash_outs`` are a few of the new."""

    cash_outs: list[CashOut]
    cashed_out: int
    paid: int


class CrashCrashed(_OfARound, frozen=True):
    crash_point: float
    hash: str
    previous_hash: str
    ended: str
    multiplier: float
    players: int
    staked: int
    paid: int


CrashEvent = Union[
    CrashState,
    CrashBettingOpened,
    CrashBetsPlaced,
    CrashStarted,
    CrashTick,
    CrashCashedOut,
    CrashCrashed,
]

_TYPES: dict[str, type[CrashEvent]] = {
    "crash_state": CrashState,
    "crash_betting_opened": CrashBettingOpened,
    "crash_bets_placed": CrashBetsPlaced,
    "crash_started": CrashStarted,
    "crash_tick": CrashTick,
    "crash_cashed_out": CrashCashedOut,
    "crash_crashed": CrashCrashed,
}


def crash_topic(table: str) -> str:
    """The topic that tells the events of a table."""
    return f"crash/{table}"


def crash_event(broadcast: Broadcast, table: str) -> CrashEvent | None:
    """The event as its type; None when it is not of this table, or of a type made later than this.

    Raises:
        ProtocolViolation: it lacks what its type has.
    """
    kind = _TYPES.get(broadcast.type)
    if kind is None or broadcast.data.get("table") != table:
        return None
    try:
        return msgspec.convert(broadcast.data, kind)
    except msgspec.ValidationError as error:
        raise ProtocolViolation(f"{broadcast.type}: {error}") from None
