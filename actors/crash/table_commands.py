"""The commands of a table: those of sessions, those of its own alarms, and what anyone may read."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from actors.crash.broadcast import CrashFairness, CrashHistory, GetCrashFairness, GetCrashHistory
from actors.crash.messages import (
    BET_ALREADY_PLACED,
    BETTING_CLOSED,
    CASH_OUT_TOO_EARLY,
    NO_OPEN_BET,
    NOT_DUE,
    NOT_GENUINE,
    OUT_OF_HASHES,
    ROUND_NOT_RUNNING,
    ROUND_OVER,
    TABLE_FULL,
    UNKNOWN_TABLE,
    TakeCrashBet,
    TakeCrashBetResult,
    TakeCrashCashOut,
    TakeCrashCashOutResult,
)
from actors.crash.round import Phase
from actors.play import STAKE_OUT_OF_RANGE
from runtime.behavior import CommandSpec

Number = Annotated[int, Meta(ge=0)]


class EndPhase(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """That phase of that round, no other: an alarm may come late."""

    round: Number
    phase: Phase


class Announce(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """``number`` counts these within the round."""

    round: Number
    number: Number


class SettleBets(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """``number`` counts these within the round."""

    round: Number
    number: Number


class TurnDone(msgspec.Struct, frozen=True, gc=False):
    pass


TABLE_COMMANDS = (
    CommandSpec(
        "take_crash_bet",
        TakeCrashBet,
        TakeCrashBetResult,
        "Take a session's bet into the round.",
        audience="system",
        errors=(
            UNKNOWN_TABLE,
            NOT_GENUINE,
            BETTING_CLOSED,
            BET_ALREADY_PLACED,
            STAKE_OUT_OF_RANGE,
            TABLE_FULL,
        ),
    ),
    CommandSpec(
        "take_crash_cash_out",
        TakeCrashCashOut,
        TakeCrashCashOutResult,
        "Cash out a session's bet at the multiplier of this moment.",
        audience="system",
        errors=(NOT_GENUINE, NO_OPEN_BET, ROUND_NOT_RUNNING, CASH_OUT_TOO_EARLY, ROUND_OVER),
    ),
    CommandSpec(
        "end_phase",
        EndPhase,
        TurnDone,
        "The time of a phase is over.",
        audience="system",
        errors=(NOT_DUE, UNKNOWN_TABLE, OUT_OF_HASHES),
    ),
    CommandSpec(
        "announce",
        Announce,
        TurnDone,
        "Show what is new, and pay the bets that have reached their targets.",
        audience="system",
        errors=(NOT_DUE,),
    ),
    CommandSpec(
        "settle_bets",
        SettleBets,
        TurnDone,
        "Send word to the next sessions whose bets the end of the round has decided.",
        audience="system",
        errors=(NOT_DUE,),
    ),
    CommandSpec(
        "get_crash_history",
        GetCrashHistory,
        CrashHistory,
        "The latest rounds of the table, with what verifies them.",
        audience="public",
    ),
    CommandSpec(
        "get_crash_fairness",
        GetCrashFairness,
        CrashFairness,
        "What was published of the table's hash chain before its first round.",
        audience="public",
        errors=(UNKNOWN_TABLE, OUT_OF_HASHES),
    ),
)
