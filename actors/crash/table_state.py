"""What a table remembers, and how its events change that.

Holds no secret: neither the hash nor the crash point of a round stands here, in an event, or in
anything derived from them, before the round has ended.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable
from functools import reduce
from operator import or_
from typing import Any

import msgspec

from actors.crash.broadcast import HISTORY_ROUNDS_MAX, SHOWN_MAX
from actors.crash.round import TRANSITIONS, Bet, Happening, Phase, Target, paid_at
from actors.games.crash import payout


class EndedRound(msgspec.Struct, array_like=True, frozen=True, gc=False):
    round: int
    hash: str
    crash_point: int
    forced: bool
    multiplier: int
    at_ms: int
    bets: int
    staked: int
    paid: int


class TableState(msgspec.Struct):
    table: str
    round: int = 0
    """The round that is open or was the last; 0: none yet."""
    phase: Phase = Phase.PAUSE
    betting_ends_ms: int = 0
    started_ms: int | None = None
    ended_ms: int = 0
    next_round_ms: int | None = None
    liability_max: int = 0
    """Of this round, whatever the rules have become since it was opened."""
    previous_hash: str = ""
    """The commitment to this round: SHA-256 of the hash that decides it."""
    bets: dict[str, Bet] = {}
    """By user id, in the order in which they were taken."""
    targets: list[Target] = []
    """Open bets with an automatic cash-out, by its multiplier."""
    owed: list[str] = []
    """Whose bets the end of the round has decided and whose sessions have yet to be told."""
    settlings: int = 0
    """How many turns have told sessions of this round's end."""
    staked: int = 0
    open_stakes: int = 0
    cashed_out: int = 0
    paid: int = 0
    capped: int | None = None
    """Where the round is forced to end, once somebody was paid at that."""
    progressions: int = 0
    progressed_ms: int = 0
    shown_ms: int = 0
    new_bets: list[str] = []
    """Whose bets were taken since that was last shown: the first 25."""
    new_cash_outs: list[str] = []
    history: list[EndedRound] = []
    """Oldest first."""

    @property
    def profits_paid(self) -> int:
        """What the cashed-out bets of a running round won, beyond their stakes."""
        return self.paid - (self.staked - self.open_stakes)


class CrashRoundOpened(msgspec.Struct, frozen=True, gc=False, tag="crash_round_opened"):
    at_ms: int
    round: int
    betting_ends_ms: int
    liability_max: int
    previous_hash: str


class CrashBetTaken(msgspec.Struct, frozen=True, gc=False, tag="crash_bet_taken"):
    at_ms: int
    round: int
    user_id: str
    bet: int
    stake: int
    auto: int | None


class CrashRoundStarted(msgspec.Struct, frozen=True, gc=False, tag="crash_round_started"):
    round: int
    started_ms: int


class CrashBetCashedOut(msgspec.Struct, frozen=True, gc=False, tag="crash_bet_cashed_out"):
    """By hand."""

    at_ms: int
    round: int
    user_id: str
    bet: int
    multiplier: int
    payout: int


class CrashRoundCapped(msgspec.Struct, frozen=True, gc=False, tag="crash_round_capped"):
    """The round had reached its forced end when somebody cashed out: all others get the same."""

    round: int
    multiplier: int


class CrashProgressed(msgspec.Struct, frozen=True, gc=False, tag="crash_progressed"):
    """The first ``autos`` targets were reached; what is new was ``shown``, or it was not time for that."""

    at_ms: int
    round: int
    autos: int
    shown: bool


class CrashRoundEnded(msgspec.Struct, frozen=True, gc=False, tag="crash_round_ended"):
    """Decides every open bet, by :func:`actors.crash.round.paid_at`, and reveals ``hash``."""

    at_ms: int
    round: int
    hash: str
    crash_point: int
    multiplier: int
    forced: bool
    next_round_ms: int


class CrashBetsSettled(msgspec.Struct, frozen=True, gc=False, tag="crash_bets_settled"):
    """The sessions of the first ``count`` bets that were decided by the end have been sent word."""

    round: int
    count: int


class CrashRoundSettled(msgspec.Struct, frozen=True, gc=False, tag="crash_round_settled"):
    at_ms: int
    round: int


def _enter(state: TableState, happening: Happening) -> None:
    state.phase = TRANSITIONS[state.phase, happening]


def _cash_out(state: TableState, user_id: str, bet: Bet, multiplier: int, paid: int) -> None:
    bet.multiplier = multiplier
    bet.payout = paid
    state.open_stakes -= bet.stake
    state.paid += paid
    state.cashed_out += 1
    if len(state.new_cash_outs) < SHOWN_MAX:
        state.new_cash_outs.append(user_id)


def _shown(state: TableState, at_ms: int) -> None:
    state.shown_ms = at_ms
    state.new_bets = []
    state.new_cash_outs = []


def _round_opened(state: TableState, event: CrashRoundOpened) -> None:
    _enter(state, Happening.OPENED)
    state.round = event.round
    state.betting_ends_ms = event.betting_ends_ms
    state.started_ms = state.next_round_ms = state.capped = None
    state.liability_max = event.liability_max
    state.previous_hash = event.previous_hash
    state.bets = {}
    state.settlings = state.progressions = state.progressed_ms = 0
    state.staked = state.open_stakes = state.cashed_out = state.paid = 0
    _shown(state, event.at_ms)


def _bet_taken(state: TableState, event: CrashBetTaken) -> None:
    state.bets[event.user_id] = Bet(event.bet, event.stake, event.auto)
    if event.auto is not None:
        insort(state.targets, (event.auto, event.user_id))
    state.staked += event.stake
    state.open_stakes += event.stake
    if len(state.new_bets) < SHOWN_MAX:
        state.new_bets.append(event.user_id)


def _round_started(state: TableState, event: CrashRoundStarted) -> None:
    _enter(state, Happening.STARTED)
    state.started_ms = event.started_ms
    _shown(state, event.started_ms)


def _bet_cashed_out(state: TableState, event: CrashBetCashedOut) -> None:
    bet = state.bets[event.user_id]
    if bet.auto is not None:
        del state.targets[bisect_left(state.targets, (bet.auto, event.user_id))]
    _cash_out(state, event.user_id, bet, event.multiplier, event.payout)


def _round_capped(state: TableState, event: CrashRoundCapped) -> None:
    state.capped = event.multiplier


def _progressed(state: TableState, event: CrashProgressed) -> None:
    state.progressions += 1
    if event.autos:
        for auto, user_id in state.targets[: event.autos]:
            bet = state.bets[user_id]
            _cash_out(state, user_id, bet, auto, payout(bet.stake, auto))
        del state.targets[: event.autos]
        state.progressed_ms = event.at_ms
    if event.shown:
        _shown(state, event.at_ms)


def _round_ended(state: TableState, event: CrashRoundEnded) -> None:
    _enter(state, Happening.ENDED)
    for user_id, bet in state.bets.items():
        if bet.multiplier is not None:
            continue
        state.owed.append(user_id)
        multiplier = paid_at(bet.auto, event.multiplier, event.forced)
        if multiplier is not None:
            _cash_out(state, user_id, bet, multiplier, payout(bet.stake, multiplier))
    state.targets = []
    state.open_stakes = 0
    state.ended_ms = event.at_ms
    state.next_round_ms = event.next_round_ms
    state.history.append(
        EndedRound(
            event.round,
            event.hash,
            event.crash_point,
            event.forced,
            event.multiplier,
            event.at_ms,
            len(state.bets),
            state.staked,
            state.paid,
        )
    )
    del state.history[:-HISTORY_ROUNDS_MAX]
    _shown(state, event.at_ms)


def _bets_settled(state: TableState, event: CrashBetsSettled) -> None:
    del state.owed[: event.count]
    state.settlings += 1


def _round_settled(state: TableState, event: CrashRoundSettled) -> None:
    _enter(state, Happening.SETTLED)


_EVOLVE: dict[type[msgspec.Struct], Callable[[TableState, Any], None]] = {
    CrashRoundOpened: _round_opened,
    CrashBetTaken: _bet_taken,
    CrashRoundStarted: _round_started,
    CrashBetCashedOut: _bet_cashed_out,
    CrashRoundCapped: _round_capped,
    CrashProgressed: _progressed,
    CrashRoundEnded: _round_ended,
    CrashBetsSettled: _bets_settled,
    CrashRoundSettled: _round_settled,
}

TABLE_EVENTS: Any = reduce(or_, _EVOLVE)


def evolve(state: TableState, event: Any) -> None:
    _EVOLVE[type(event)](state, event)
