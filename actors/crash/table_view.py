"""A table in the words that clients know: its state, its outgoing events, its history."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256
from itertools import islice

from actors.crash.broadcast import (
    BETS_PLACED,
    BETTING_OPENED,
    CASHED_OUT,
    CRASHED,
    SHOWN_MAX,
    STARTED,
    TICK,
    VIEW_BETS_MAX,
    VIEW_ROUNDS_MAX,
    CrashBetsPlaced,
    CrashBettingOpened,
    CrashCashedOut,
    CrashCashOut,
    CrashCrashed,
    CrashHistory,
    CrashRound,
    CrashStarted,
    CrashState,
    CrashTick,
    NewCrashBet,
    TableBet,
)
from actors.crash.messages import optional_float
from actors.crash.round import Bet, TableRules
from actors.crash.table_state import CrashRoundEnded, CrashRoundOpened, EndedRound, TableState
from actors.games.crash import as_float
from runtime.behavior import Push

CashOut = tuple[str, int, int]
"""``(user id, multiplier, payout)``."""


def state_of(state: TableState, rules: TableRules) -> CrashState:
    return CrashState(
        state.table,
        state.round,
        state.phase.value,
        state.betting_ends_ms,
        state.started_ms,
        state.next_round_ms,
        len(state.bets),
        state.staked,
        [_table_bet(user_id, bet) for user_id, bet in islice(state.bets.items(), VIEW_BETS_MAX)],
        _newest(state.history, VIEW_ROUNDS_MAX),
        state.previous_hash,
        rules.stake_min,
        rules.stake_max,
    )


def history_of(state: TableState, limit: int) -> CrashHistory:
    return CrashHistory(state.table, _newest(state.history, limit))


def _newest(history: list[EndedRound], limit: int) -> list[CrashRound]:
    return [
        CrashRound(
            ended.round,
            ended.hash,
            as_float(ended.crash_point),
            "forced" if ended.forced else "crashed",
            as_float(ended.multiplier),
            ended.at_ms,
            ended.bets,
            ended.staked,
            ended.paid,
        )
        for ended in islice(reversed(history), limit)
    ]


def _table_bet(user_id: str, bet: Bet) -> TableBet:
    return TableBet(user_id, bet.stake, optional_float(bet.auto), optional_float(bet.multiplier), bet.payout)


def betting_opened(table: str, event: CrashRoundOpened) -> Push:
    data = CrashBettingOpened(table, event.round, event.betting_ends_ms, event.at_ms)
    return Push(BETTING_OPENED, data)


def new_bets(state: TableState) -> list[Push]:
    """Empty when there are none."""
    if not state.new_bets:
        return []
    bets = [
        NewCrashBet(user_id, state.bets[user_id].stake, optional_float(state.bets[user_id].auto))
        for user_id in state.new_bets
    ]
    return [Push(BETS_PLACED, CrashBetsPlaced(state.table, state.round, bets, len(state.bets), state.staked))]


def started(state: TableState, started_ms: int) -> Push:
    data = CrashStarted(state.table, state.round, started_ms, len(state.bets), state.staked)
    return Push(STARTED, data)


def tick(state: TableState, elapsed_ms: int, multiplier: int) -> Push:
    return Push(TICK, CrashTick(state.table, state.round, elapsed_ms, as_float(multiplier)))


def new_cash_outs(state: TableState, now: Iterable[CashOut]) -> list[Push]:
    """Those that have not been shown, and then those of this turn. Empty when there are none."""
    cash_outs = []
    for user_id in state.new_cash_outs:
        bet = state.bets[user_id]
        assert bet.multiplier is not None
        cash_outs.append(CrashCashOut(user_id, as_float(bet.multiplier), bet.payout))
    cashed_out, paid = state.cashed_out, state.paid
    for user_id, multiplier, payout in now:
        cashed_out += 1
        paid += payout
        if len(cash_outs) < SHOWN_MAX:
            cash_outs.append(CrashCashOut(user_id, as_float(multiplier), payout))
    if not cash_outs:
        return []
    return [Push(CASHED_OUT, CrashCashedOut(state.table, state.round, cash_outs, cashed_out, paid))]


def crashed(state: TableState, event: CrashRoundEnded, paid: int) -> Push:
    return Push(
        CRASHED,
        CrashCrashed(
            state.table,
            state.round,
            as_float(event.crash_point),
            event.hash,
            commitment_to(bytes.fromhex(event.hash)),
            "forced" if event.forced else "crashed",
            as_float(event.multiplier),
            len(state.bets),
            state.staked,
            paid,
        ),
    )


def commitment_to(round_hash: bytes) -> str:
    """What is known of a round's hash before the round: its SHA-256, the hash of the round before."""
    return sha256(round_hash).hexdigest()
