"""What a session remembers of its Crash bets, and how its events change that.

Kept in the ``memory`` of the player's record of the game: one open bet per table at most, and the
latest that were settled.
"""

from __future__ import annotations

import enum

import msgspec

from actors.actions import remember
from actors.crash.messages import GAME, CrashBet, optional_float
from actors.feature import Event
from actors.play import Scored, apply_score, record_of
from actors.pushes import UserAction
from actors.session_state import SessionState

SETTLED_MAX = 20


class Status(enum.IntEnum):
    PENDING = 0
    """The stake is on hold, and the table has been asked."""
    PLACED = 1
    """The stake is in the round's escrow."""
    CASHING_OUT = 2
    """And the table has been asked."""
    CASHED_OUT = 3
    CRASHED = 4


class PlayerBet(msgspec.Struct, array_like=True, gc=False):
    """``round`` is None while pending."""

    number: int
    table: str
    round: int | None
    stake: int
    auto: int | None
    status: Status
    at_ms: int
    multiplier: int | None = None
    payout: int = 0


class CrashMemory(msgspec.Struct, array_like=True, gc=False):
    bets: int = 0
    """The number of the latest bet."""
    open: list[PlayerBet] = []
    settled: list[PlayerBet] = []
    """Oldest first."""

    def open_at(self, table: str) -> PlayerBet | None:
        return next((bet for bet in self.open if bet.table == table), None)

    def numbered(self, number: int) -> PlayerBet | None:
        """An open bet by its number."""
        return next((bet for bet in self.open if bet.number == number), None)

    def bet(self, number: int) -> PlayerBet:
        """An open bet that must be there."""
        return next(bet for bet in self.open if bet.number == number)


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(CrashMemory).decode


def memory_of(state: SessionState) -> CrashMemory:
    """A copy."""
    record = state.games.get(GAME)
    return _decode(record.memory) if record is not None and record.memory else CrashMemory()


def _keep(state: SessionState, memory: CrashMemory) -> None:
    record_of(state, GAME).memory = _encode(memory)


def held(state: SessionState) -> int:
    """Gold that is on the player's account but on hold for pending bets, so not in ``state.gold``."""
    return sum(bet.stake for bet in memory_of(state).open if bet.status is Status.PENDING)


def open_bets(state: SessionState) -> list[CrashBet]:
    return [_shown(bet) for bet in memory_of(state).open]


def settled_bets(state: SessionState) -> list[CrashBet]:
    """Newest first."""
    return [_shown(bet) for bet in reversed(memory_of(state).settled)]


def _shown(bet: PlayerBet) -> CrashBet:
    return CrashBet(
        bet.table,
        bet.round,
        bet.stake,
        optional_float(bet.auto),
        bet.status.name.lower(),  # type: ignore[arg-type]
        optional_float(bet.multiplier),
        bet.payout,
        bet.at_ms,
    )


class CrashBetRequested(msgspec.Struct, frozen=True, gc=False, tag="crash_bet_requested"):
    at_ms: int
    bet: int
    table: str
    stake: int
    auto: int | None
    gold_after: int
    """Without the stake, which is on hold."""


class CrashBetPlaced(msgspec.Struct, frozen=True, gc=False, tag="crash_bet_placed"):
    at_ms: int
    bet: int
    round: int


class CrashBetReleased(msgspec.Struct, frozen=True, gc=False, tag="crash_bet_released"):
    """The table has refused the bet with that code."""

    at_ms: int
    bet: int
    code: str
    gold_after: int


class CrashCashOutRequested(msgspec.Struct, frozen=True, gc=False, tag="crash_cash_out_requested"):
    at_ms: int
    bet: int


class CrashCashOutRefused(msgspec.Struct, frozen=True, gc=False, tag="crash_cash_out_refused"):
    at_ms: int
    bet: int
    code: str


class CrashBetSettled(Scored, frozen=True, gc=False, tag="crash_bet_settled"):
    """``multiplier`` None: lost."""

    bet: int
    table: str
    round: int
    multiplier: int | None


def placed_action(bet: PlayerBet, round_number: int, at_ms: int) -> UserAction:
    return UserAction(
        "place_crash_bet",
        {
            "table": bet.table,
            "round": round_number,
            "stake": bet.stake,
            "auto_cash_out": optional_float(bet.auto),
        },
        at_ms,
    )


def settled_action(
    table: str, round_number: int, stake: int, multiplier: int | None, paid: int, at_ms: int
) -> UserAction:
    return UserAction(
        "settle_crash_bet",
        {
            "table": table,
            "round": round_number,
            "stake": stake,
            "multiplier": optional_float(multiplier),
            "payout": paid,
        },
        at_ms,
    )


def _bet_requested(state: SessionState, event: CrashBetRequested) -> None:
    state.gold = event.gold_after
    memory = memory_of(state)
    memory.bets = event.bet
    memory.open.append(
        PlayerBet(event.bet, event.table, None, event.stake, event.auto, Status.PENDING, event.at_ms)
    )
    _keep(state, memory)


def _bet_placed(state: SessionState, event: CrashBetPlaced) -> None:
    memory = memory_of(state)
    bet = memory.bet(event.bet)
    bet.status, bet.at_ms, bet.round = Status.PLACED, event.at_ms, event.round
    _keep(state, memory)
    remember(state, placed_action(bet, event.round, event.at_ms))


def _bet_released(state: SessionState, event: CrashBetReleased) -> None:
    state.gold = event.gold_after
    memory = memory_of(state)
    memory.open.remove(memory.bet(event.bet))
    _keep(state, memory)


def _cash_out_requested(state: SessionState, event: CrashCashOutRequested) -> None:
    _enter(state, event.bet, Status.CASHING_OUT, event.at_ms)


def _cash_out_refused(state: SessionState, event: CrashCashOutRefused) -> None:
    _enter(state, event.bet, Status.PLACED, event.at_ms)


def _enter(state: SessionState, number: int, status: Status, at_ms: int) -> None:
    memory = memory_of(state)
    bet = memory.bet(number)
    bet.status, bet.at_ms = status, at_ms
    _keep(state, memory)


def _bet_settled(state: SessionState, event: CrashBetSettled) -> None:
    memory = memory_of(state)
    bet = memory.bet(event.bet)
    memory.open.remove(bet)
    bet.status = Status.CRASHED if event.multiplier is None else Status.CASHED_OUT
    bet.at_ms, bet.multiplier, bet.payout = event.at_ms, event.multiplier, event.payout
    memory.settled.append(bet)
    del memory.settled[:-SETTLED_MAX]
    _keep(state, memory)
    action = settled_action(
        event.table, event.round, event.stake, event.multiplier, event.payout, event.at_ms
    )
    apply_score(state, event, action)


BET_EVENTS = (
    Event(CrashBetRequested, _bet_requested),
    Event(CrashBetPlaced, _bet_placed),
    Event(CrashBetReleased, _bet_released),
    Event(CrashCashOutRequested, _cash_out_requested),
    Event(CrashCashOutRefused, _cash_out_refused),
    Event(CrashBetSettled, _bet_settled),
)
