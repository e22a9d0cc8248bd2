"""The player's side of Crash: placing a bet, cashing it out, and what the table makes of it.

A stake is on hold while the table is asked, and moves into the round's escrow only once it is taken:
a refused bet moves nothing. What a bet comes to arrives in one of two ways, as the answer to a
cash-out or as the table's own word, and each bet is settled by the first that arrives. That may
overtake the table's word that the bet was taken, when this session's host has died in between.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from actors import pushes, wallet
from actors.crash import bets
from actors.crash.bets import (
    BET_EVENTS,
    CrashBetPlaced,
    CrashBetReleased,
    CrashBetRequested,
    CrashBetSettled,
    CrashCashOutRefused,
    CrashCashOutRequested,
    PlayerBet,
    Status,
    memory_of,
    placed_action,
    settled_action,
)
from actors.crash.messages import (
    AUTO_CASH_OUT_INVALID,
    BET_ALREADY_PLACED,
    BETTING_CLOSED,
    CASH_OUT_TOO_EARLY,
    CRASH_BET_SETTLED,
    GAME,
    KIND,
    NO_OPEN_BET,
    NOT_GENUINE,
    ROUND_NOT_RUNNING,
    ROUND_OVER,
    STAKE_LIMIT,
    TABLE_FULL,
    UNKNOWN_TABLE,
    CashOutCrash,
    CashOutCrashResult,
    CrashBetAnswered,
    CrashCashOutAnswered,
    CrashSettlement,
    GetCrashBets,
    GetCrashBetsResult,
    PlaceCrashBet,
    PlaceCrashBetResult,
    SettleCrashBet,
    SettleCrashBetResult,
    TakeCrashBet,
    TakeCrashBetResult,
    TakeCrashCashOut,
    TakeCrashCashOutResult,
    optional_float,
    table_actor,
)
from actors.crash.round import TableRules, check_names
from actors.feature import Command, Feature
from actors.games.crash import MULTIPLIER_MAX, MULTIPLIER_MIN, as_float, payout
from actors.play import STAKE_OUT_OF_RANGE, Settlement, score
from actors.roles import stake_limit
from actors.session_state import SessionState
from runtime.behavior import CommandSpec, Context, Decision, Push, PushSpec, Send, Transfer
from runtime.errors import Rejected
from runtime.identity import key_of, kind_of

_decode_taken = msgspec.msgpack.Decoder(TakeCrashBetResult).decode
_decode_cashed_out = msgspec.msgpack.Decoder(TakeCrashCashOutResult).decode


def _place_bet(
    tables: Mapping[str, TableRules], state: SessionState, command: PlaceCrashBet, context: Context
) -> Decision:
    table, stake = command.table, command.stake
    rules = _rules_of(tables, table)
    stake_max = min(stake_limit(state.role, rules.stake_max), STAKE_LIMIT)
    if not rules.stake_min <= stake <= stake_max:
        raise Rejected(
            f"The table {table!r} takes stakes of {rules.stake_min} to {stake_max}.",
            STAKE_OUT_OF_RANGE,
        )
    auto = None if command.auto_cash_out is None else _hundredths(command.auto_cash_out)
    memory = memory_of(state)
    if memory.open_at(table) is not None:
        raise Rejected("There is a bet of yours at this table.", BET_ALREADY_PLACED)
    gold = wallet.hold(state.gold, stake)
    best = min(payout(stake, auto or MULTIPLIER_MAX), stake + rules.liability_max)
    wallet.check_room(gold, best)
    number = memory.bets + 1
    question = Send(
        table_actor(table), "take_crash_bet", TakeCrashBet(number, stake, auto), "crash_bet_answered"
    )
    return Decision(
        reply=None,
        events=(CrashBetRequested(context.now_ms, number, table, stake, auto, gold),),
        sends=(question,),
    )


def _rules_of(tables: Mapping[str, TableRules], table: str) -> TableRules:
    rules = tables.get(table)
    if rules is None:
        raise Rejected(f"There is no Crash table {table!r}.", UNKNOWN_TABLE)
    return rules


def _hundredths(multiplier: float) -> int:
    """The inverse of ``as_float``. Raises ``Rejected`` for a number that is not on the grid."""
    # Put so that it is false of NaN.
    if as_float(MULTIPLIER_MIN) <= multiplier <= as_float(MULTIPLIER_MAX):
        hundredths = round(multiplier * 100)
        if as_float(hundredths) == multiplier:
            return hundredths
    raise Rejected(
        "An automatic cash-out is at 1.01 to 1,000,000, with at most two decimals.", AUTO_CASH_OUT_INVALID
    )


def _bet_answered(state: SessionState, answer: CrashBetAnswered, context: Context) -> Decision:
    table = _answering_table(context)
    if answer.refusal is not None:
        # A refused bet cannot have been settled, so it is the one that is open.
        bet = memory_of(state).open_at(table)
        if bet is None or bet.status is not Status.PENDING:
            return Decision(answer.refusal)
        transfers, gold = wallet.release(state.gold, state.user_id, bet.stake, "refused bet")
        return Decision(
            reply=answer.refusal,
            events=(CrashBetReleased(context.now_ms, bet.number, answer.refusal.code, gold),),
            # What was pushed while the stake was on hold has shown the balance without it.
            pushes=(pushes.profile_update(gold_balance=gold),),
            transfers=transfers,
        )
    taken = _decode_taken(answer.reply)
    reply = PlaceCrashBetResult(table, taken.round, taken.stake, optional_float(taken.auto), state.gold)
    bet = memory_of(state).numbered(taken.bet)
    if bet is None or bet.status is not Status.PENDING:
        return Decision(reply)
    return Decision(
        reply=reply,
        events=(CrashBetPlaced(context.now_ms, bet.number, taken.round),),
        pushes=(
            pushes.profile_update(gold_balance=state.gold),
            pushes.user_action(placed_action(bet, taken.round, context.now_ms)),
        ),
        transfers=(_staked(state, bet, taken.round),),
    )


def _staked(state: SessionState, bet: PlayerBet, round_number: int) -> Transfer:
    escrow = wallet.crash_escrow(bet.table, round_number)
    return Transfer(wallet.player_account(state.user_id), escrow, bet.stake, "stake")


def _cash_out(state: SessionState, command: CashOutCrash, context: Context) -> Decision:
    bet = memory_of(state).open_at(command.table)
    if bet is None or bet.status is not Status.PLACED or bet.round is None:
        raise Rejected("There is no bet of yours to cash out at this table.", NO_OPEN_BET)
    escrow = wallet.crash_escrow(bet.table, bet.round)
    question = Send(
        table_actor(bet.table),
        "take_crash_cash_out",
        TakeCrashCashOut(bet.number, bet.round, escrow),
        "crash_cash_out_answered",
    )
    return Decision(
        reply=None, events=(CrashCashOutRequested(context.now_ms, bet.number),), sends=(question,)
    )


def _cash_out_answered(state: SessionState, answer: CrashCashOutAnswered, context: Context) -> Decision:
    table = _answering_table(context)
    if answer.refusal is not None:
        bet = memory_of(state).open_at(table)
        if bet is None or bet.status is not Status.CASHING_OUT:
            return Decision(answer.refusal)
        refused = CrashCashOutRefused(context.now_ms, bet.number, answer.refusal.code)
        return Decision(answer.refusal, (refused,))
    taken = _decode_cashed_out(answer.reply)
    bet = memory_of(state).numbered(taken.bet)
    if bet is None:
        return Decision(_cashed_out(table, taken, state.gold))
    event, settled = _settled(state, bet, taken.round, taken.multiplier, taken.payout, context)
    return Decision(
        reply=_cashed_out(table, taken, settled.gold_after),
        events=(event,),
        pushes=settled.pushes,
        transfers=settled.transfers,
    )


def _cashed_out(table: str, taken: TakeCrashCashOutResult, gold: int) -> CashOutCrashResult:
    multiplier = as_float(taken.multiplier)
    return CashOutCrashResult(table, taken.round, taken.stake, multiplier, taken.payout, gold)


def _answering_table(context: Context) -> str:
    if context.sender is None or kind_of(context.sender) != KIND:
        raise Rejected("Only a table answers that.", NOT_GENUINE)
    return key_of(context.sender)


def _settle_bet(state: SessionState, command: SettleCrashBet, context: Context) -> Decision:
    memory = memory_of(state)
    if (
        context.sender != table_actor(command.table)
        or command.escrow != wallet.crash_escrow(command.table, command.round)
        or command.bet > memory.bets
    ):
        raise Rejected("This is not the word of the table on a bet.", NOT_GENUINE)
    bet = memory.numbered(command.bet)
    if bet is None:
        return Decision(SettleCrashBetResult(state.gold))
    if (bet.table, bet.stake) != (command.table, command.stake) or bet.round not in (None, command.round):
        raise Rejected("This bet is another.", NOT_GENUINE)
    event, settled = _settled(state, bet, command.round, command.multiplier, command.payout, context)
    events: list[msgspec.Struct] = [event]
    if bet.status is Status.PENDING:
        events.insert(0, CrashBetPlaced(context.now_ms, bet.number, command.round))
        settled.transfers.insert(0, _staked(state, bet, command.round))
        settled.pushes.insert(0, pushes.user_action(placed_action(bet, command.round, context.now_ms)))
    return Decision(
        reply=SettleCrashBetResult(settled.gold_after),
        events=events,
        pushes=settled.pushes,
        transfers=settled.transfers,
    )


def _settled(
    state: SessionState,
    bet: PlayerBet,
    round_number: int,
    multiplier: int | None,
    paid: int,
    context: Context,
) -> tuple[CrashBetSettled, Settlement]:
    """Settle a bet whose stake is in the round's escrow. It is never refused: what a full purse has no
    room for goes to the house."""
    user_id, stake = state.user_id, bet.stake
    escrow, house = wallet.crash_escrow(bet.table, round_number), wallet.house_account(GAME)
    transfers: list[Transfer] = []
    gold = state.gold
    returned = min(stake, paid)
    if returned:
        transfers, gold = wallet.earn_what_fits(gold, user_id, escrow, returned, "stake returned")
    if returned < stake:
        transfers.append(Transfer(escrow, house, stake - returned, "stake lost"))
    if returned < paid:
        won, gold = wallet.earn_what_fits(gold, user_id, house, paid - returned, "winnings")
        transfers += won
    action = settled_action(bet.table, round_number, stake, multiplier, paid, context.now_ms)
    settled = score(state, GAME, stake, paid, action, gold, transfers)
    shown = CrashSettlement(
        bet.table, round_number, stake, optional_float(bet.auto), optional_float(multiplier), paid, gold
    )
    settled.pushes.append(Push(CRASH_BET_SETTLED, shown))
    event = CrashBetSettled(
        context.now_ms,
        GAME,
        stake,
        paid,
        gold,
        settled.exp_after,
        settled.level_after,
        bet.number,
        bet.table,
        round_number,
        multiplier,
    )
    return event, settled


def _get_bets(state: SessionState, command: GetCrashBets, context: Context) -> Decision:
    return Decision(GetCrashBetsResult(bets.open_bets(state), bets.settled_bets(state)))


def crash_feature(tables: Mapping[str, TableRules]) -> Feature:
    """Betting at the tables that there are.

    Raises:
        ValueError: a table cannot have that name.
    """
    check_names(tables)
    return Feature(
        name=GAME,
        commands=(
            Command(
                CommandSpec(
                    "place_crash_bet",
                    PlaceCrashBet,
                    PlaceCrashBetResult,
                    "Bet on the round of Crash that is open at a table.",
                    errors=(
                        UNKNOWN_TABLE,
                        STAKE_OUT_OF_RANGE,
                        AUTO_CASH_OUT_INVALID,
                        BET_ALREADY_PLACED,
                        wallet.INSUFFICIENT_FUNDS,
                        wallet.GOLD_LIMIT,
                        BETTING_CLOSED,
                        TABLE_FULL,
                    ),
                ),
                lambda state, command, context: _place_bet(tables, state, command, context),
            ),
            Command(
                CommandSpec(
                    "cash_out_crash",
                    CashOutCrash,
                    CashOutCrashResult,
                    "Cash out at the multiplier of the moment at which the table takes it.",
                    errors=(NO_OPEN_BET, ROUND_NOT_RUNNING, CASH_OUT_TOO_EARLY, ROUND_OVER),
                ),
                _cash_out,
            ),
            Command(
                CommandSpec(
                    "get_crash_bets",
                    GetCrashBets,
                    GetCrashBetsResult,
                    "The player's own bets, open and past.",
                ),
                _get_bets,
            ),
            Command(
                CommandSpec(
                    "crash_bet_answered",
                    CrashBetAnswered,
                    PlaceCrashBetResult,
                    "The table has taken a bet, or has not.",
                    audience="system",
                    errors=(NOT_GENUINE,),
                ),
                _bet_answered,
            ),
            Command(
                CommandSpec(
                    "crash_cash_out_answered",
                    CrashCashOutAnswered,
                    CashOutCrashResult,
                    "The table has paid a bet, or has not.",
                    audience="system",
                    errors=(NOT_GENUINE,),
                ),
                _cash_out_answered,
            ),
            Command(
                CommandSpec(
                    "settle_crash_bet",
                    SettleCrashBet,
                    SettleCrashBetResult,
                    "Take the table's word on a bet; a genuine one is never refused.",
                    audience="system",
                    errors=(NOT_GENUINE,),
                ),
                _settle_bet,
            ),
        ),
        events=BET_EVENTS,
        pushes=(
            PushSpec(
                CRASH_BET_SETTLED,
                CrashSettlement,
                "A Crash bet was paid or lost; on the player's own stream.",
            ),
        ),
    )
