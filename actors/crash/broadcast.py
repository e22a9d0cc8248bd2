"""What everybody at a table sees: its outgoing events and its public answers, field by field.

Owns shapes only. Multipliers are floats with two decimals, times ms since the epoch.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from runtime.behavior import PushSpec

SHOWN_MAX = 25
"""Bets or cash-outs named in one event; the totals tell of the others."""
VIEW_BETS_MAX = 100
VIEW_ROUNDS_MAX = 10
HISTORY_ROUNDS_MAX = 100

HowEnded = Literal["crashed", "forced"]
"""``forced``: everybody still in was paid, because the table may not owe more (or at 1,000,000.00×)."""


class NewCrashBet(msgspec.Struct, frozen=True, gc=False):
    user_id: str
    stake: int
    auto_cash_out: float | None


class TableBet(msgspec.Struct, frozen=True, gc=False):
    """``multiplier`` is null and ``payout`` 0 while the bet is open, and when it was lost."""

    user_id: str
    stake: int
    auto_cash_out: float | None
    multiplier: float | None
    payout: int


class CrashCashOut(msgspec.Struct, frozen=True, gc=False):
    user_id: str
    multiplier: float
    payout: int


class CrashRound(msgspec.Struct, frozen=True, gc=False):
    """A round that has ended. ``multiplier`` is where it ended: the crash point, unless it was forced."""

    round: int
    hash: str
    crash_point: float
    ended: HowEnded
    multiplier: float
    at_ms: int
    bets: int
    staked: int
    paid: int


class CrashState(msgspec.Struct, frozen=True, gc=False):
    """The table as it stands. ``bets`` has at most 100, ``history`` the last 10 rounds, newest first;
    ``previous_hash`` is the SHA-256 of the hash that decides this round. ``round`` 0: none was opened."""

    table: str
    round: int
    phase: Literal["betting", "running", "crashed", "pause"]
    betting_ends_ms: int
    started_ms: int | None
    next_round_ms: int | None
    players: int
    staked: int
    bets: list[TableBet]
    history: list[CrashRound]
    previous_hash: str
    stake_min: int
    stake_max: int


class CrashBettingOpened(msgspec.Struct, frozen=True, gc=False):
    table: str
    round: int
    betting_ends_ms: int
    server_ms: int


class CrashBetsPlaced(msgspec.Struct, frozen=True, gc=False):
    """``bets``: new ones, at most 25; ``players`` and ``staked``: all so far."""

    table: str
    round: int
    bets: list[NewCrashBet]
    players: int
    staked: int


class CrashStarted(msgspec.Struct, frozen=True, gc=False):
    table: str
    round: int
    started_ms: int
    players: int
    staked: int


class CrashTick(msgspec.Struct, frozen=True, gc=False):
    table: str
    round: int
    elapsed_ms: int
    multiplier: float


class CrashCashedOut(msgspec.Struct, frozen=True, gc=False):
    """``cash_outs``: new ones, at most 25; ``cashed_out`` and ``paid``: number and gold of all so far."""

    table: str
    round: int
    cash_outs: list[CrashCashOut]
    cashed_out: int
    paid: int


class CrashCrashed(msgspec.Struct, frozen=True, gc=False):
    """``hash`` and ``previous_hash`` are hexadecimal; SHA-256 of the first is the second."""

    table: str
    round: int
    crash_point: float
    hash: str
    previous_hash: str
    ended: HowEnded
    multiplier: float
    players: int
    staked: int
    paid: int


class GetCrashHistory(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    limit: Annotated[int, Meta(ge=1, le=HISTORY_ROUNDS_MAX)] = 50


class CrashHistory(msgspec.Struct, frozen=True, gc=False):
    """``rounds``: newest first."""

    table: str
    rounds: list[CrashRound]


class GetCrashFairness(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    pass


class CrashFairness(msgspec.Struct, frozen=True, gc=False):
    """``round`` is the latest that was opened, decided by the hash number ``round - first_round + 1``
    of the chain; SHA-256 of that hash is ``previous_hash``."""

    table: str
    terminating_hash: str
    salt: str
    salt_source: str
    first_round: int
    length: int
    round: int
    rounds_left: int
    previous_hash: str


CRASH_STATE = "crash_state"
BETTING_OPENED = "crash_betting_opened"
BETS_PLACED = "crash_bets_placed"
STARTED = "crash_started"
TICK = "crash_tick"
CASHED_OUT = "crash_cashed_out"
CRASHED = "crash_crashed"

TABLE_PUSHES = (
    PushSpec(
        CRASH_STATE,
        CrashState,
        "The table as it stands: comes first, and again whenever events may have been missed.",
    ),
    PushSpec(BETTING_OPENED, CrashBettingOpened, "A round takes bets."),
    PushSpec(BETS_PLACED, CrashBetsPlaced, "Bets were placed; at most four times a second."),
    PushSpec(STARTED, CrashStarted, "The multiplier grows from 1.00×."),
    PushSpec(TICK, CrashTick, "Where the multiplier is; may be left out for a slow reader."),
    PushSpec(CASHED_OUT, CrashCashedOut, "Bets were cashed out; at most four times a second."),
    PushSpec(CRASHED, CrashCrashed, "The round has ended; with what verifies it."),
)
