"""What a client asks its session about Crash, and what sessions and tables say to one another.

Owns shapes, names and error codes; what happens is in ``betting`` (the session's side) and ``table``.
Multipliers are hundredths (150 is 1.50×) between actors and floats with two decimals towards clients.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from actors.games.crash import MULTIPLIER_MAX, MULTIPLIER_MIN, as_float
from runtime.behavior import Answer
from runtime.identity import ActorId, actor_id

KIND = "crash"
"""The kind of actor; the key is the table's name."""
GAME = "crash"

UNKNOWN_TABLE = "unknown_table"
AUTO_CASH_OUT_INVALID = "auto_cash_out_invalid"
BET_ALREADY_PLACED = "bet_already_placed"
BETTING_CLOSED = "betting_closed"
TABLE_FULL = "table_full"
NO_OPEN_BET = "no_open_bet"
ROUND_NOT_RUNNING = "round_not_running"
CASH_OUT_TOO_EARLY = "cash_out_too_early"
ROUND_OVER = "round_over"
NOT_GENUINE = "crash_not_genuine"
"""A message between session and table that does not come from the other one."""
NOT_DUE = "not_due"
"""An alarm that came before its time, or after what it was for."""
OUT_OF_HASHES = "out_of_hashes"
"""The table's hash chain has no hash for the next round."""

STAKE_LIMIT = 10**12
"""No table may take more."""

CRASH_BET_SETTLED = "crash_bet_settled"

TableName = Annotated[str, Meta(min_length=1, max_length=32)]
Stake = Annotated[int, Meta(ge=1, le=STAKE_LIMIT)]
Target = Annotated[int, Meta(ge=MULTIPLIER_MIN, le=MULTIPLIER_MAX)]
"""Hundredths at which a bet is cashed out by itself."""
Counter = Annotated[int, Meta(ge=1)]


def optional_float(hundredths: int | None) -> float | None:
    """Hundredths as clients are told."""
    return None if hundredths is None else as_float(hundredths)


def table_actor(table: str) -> ActorId:
    return actor_id(KIND, table)


class PlaceCrashBet(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """``auto_cash_out`` has at most two decimals, 1.01 to 1,000,000."""

    stake: Stake
    table: TableName = "main"
    auto_cash_out: float | None = None


class PlaceCrashBetResult(msgspec.Struct, frozen=True, gc=False):
    table: str
    round: int
    stake: int
    auto_cash_out: float | None
    gold_balance: int


class CashOutCrash(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    table: TableName = "main"


class CashOutCrashResult(msgspec.Struct, frozen=True, gc=False):
    """``payout`` includes the stake."""

    table: str
    round: int
    stake: int
    multiplier: float
    payout: int
    gold_balance: int


class GetCrashBets(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    pass


class CrashBet(msgspec.Struct, frozen=True, gc=False):
    """A bet as its player sees it. ``round`` is null until the table has taken it; ``at_ms`` is when
    it came to its status."""

    table: str
    round: int | None
    stake: int
    auto_cash_out: float | None
    status: Literal["pending", "placed", "cashing_out", "cashed_out", "crashed"]
    multiplier: float | None
    payout: int
    at_ms: int


class GetCrashBetsResult(msgspec.Struct, frozen=True, gc=False):
    """``settled``: newest first, at most 20."""

    open: list[CrashBet]
    settled: list[CrashBet]


class CrashSettlement(msgspec.Struct, frozen=True, gc=False):
    """``multiplier`` is null and ``payout`` 0 when the bet was lost."""

    table: str
    round: int
    stake: int
    auto_cash_out: float | None
    multiplier: float | None
    payout: int
    gold_balance: int


class TakeCrashBet(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """``bet`` is the session's running number of Crash bets, from 1."""

    bet: Counter
    stake: Stake
    auto: Target | None


class TakeCrashBetResult(msgspec.Struct, frozen=True, gc=False):
    """Says all that the session's reply needs: it may have forgotten the bet when this arrives."""

    round: int
    bet: int
    stake: int
    auto: int | None


class CrashBetAnswered(Answer, frozen=True, gc=False, forbid_unknown_fields=True):
    """The table's answer to ``take_crash_bet``."""


class TakeCrashCashOut(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    bet: Counter
    round: Counter
    escrow: str


class TakeCrashCashOutResult(msgspec.Struct, frozen=True, gc=False):
    multiplier: int
    payout: int
    round: int
    bet: int
    stake: int


class CrashCashOutAnswered(Answer, frozen=True, gc=False, forbid_unknown_fields=True):
    """The table's answer to ``take_crash_cash_out``."""


class SettleCrashBet(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """The table's word on a bet whose player did not cash out: its target was reached, it was lost,
    or the round was ended. ``multiplier`` None and ``payout`` 0: lost."""

    table: str
    round: Counter
    bet: Counter
    escrow: str
    stake: Stake
    auto: Target | None
    multiplier: Target | None
    payout: Annotated[int, Meta(ge=0)]


class SettleCrashBetResult(msgspec.Struct, frozen=True, gc=False):
    gold_balance: int
