"""A Crash table: the actor that takes bets, runs its rounds, and decides what each bet comes to.

Its key is the table's name; its state is the present round. What time brings comes as alarms, which
are computed from the state and the round's secret hash and stored nowhere: the hash, the crash point
and whatever they imply stay within this process until the round has ended.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import islice
from typing import Any, ClassVar

import msgspec

from actors import wallet
from actors.crash import broadcast, table_view
from actors.crash import table_state as events
from actors.crash.alarms import SHOW_INTERVAL_MS, next_alarm
from actors.crash.broadcast import TABLE_PUSHES, CrashFairness, CrashHistory, CrashState
from actors.crash.hashes import ChainExhausted, RoundHashes
from actors.crash.messages import (
    BET_ALREADY_PLACED,
    BETTING_CLOSED,
    CASH_OUT_TOO_EARLY,
    KIND,
    NO_OPEN_BET,
    NOT_DUE,
    NOT_GENUINE,
    OUT_OF_HASHES,
    ROUND_NOT_RUNNING,
    ROUND_OVER,
    TABLE_FULL,
    UNKNOWN_TABLE,
    SettleCrashBet,
    TakeCrashBet,
    TakeCrashBetResult,
    TakeCrashCashOut,
    TakeCrashCashOutResult,
)
from actors.crash.round import (
    Bet,
    Course,
    Phase,
    Standing,
    TableRules,
    check_names,
    elapsed_ms,
    paid_at,
)
from actors.crash.table_commands import (
    TABLE_COMMANDS,
    Announce,
    EndPhase,
    SettleBets,
    TurnDone,
)
from actors.crash.table_state import TABLE_EVENTS, TableState
from actors.games.crash import MULTIPLIER_MIN, crash_point, multiplier_at, payout
from actors.play import STAKE_OUT_OF_RANGE
from actors.roles import highest_stake_limit
from runtime.behavior import Alarm, Behavior, CommandSpec, Context, Decision, Push, PushSpec, Send
from runtime.errors import Rejected
from runtime.identity import ActorId, Dedicated, Placement, actor_id, key_of, kind_of

PLAYERS = "session"
"""The kind of actor that bets."""

SENDS_PER_TURN_MAX = 500


class CrashTable(Behavior[TableState]):
    """All tables, by name. ``chains`` is None in a process that holds no table: there, whatever needs
    a round's hash raises ``RuntimeError``.

    Raises ``ValueError`` on construction for a name that no table can have.
    """

    kind = KIND
    placement: Placement = Dedicated()
    state_type = TableState
    events = TABLE_EVENTS
    always_on: ClassVar[bool] = True
    tick_interval_ms: ClassVar[int] = 100
    snapshot_interval_turns: ClassVar[int | None] = 500
    mailbox_messages_max: ClassVar[int | None] = 20_000

    def __init__(self, rules: Mapping[str, TableRules], chains: RoundHashes | None) -> None:
        check_names(rules)
        self._rules = rules
        self._chains = chains
        self._points: dict[str, tuple[int, int]] = {}
        """The crash point of each table's present round, with the round's number."""
        self._decide: dict[type[msgspec.Struct], Callable[[TableState, Any, Context], Decision]] = {
            TakeCrashBet: self._take_bet,
            TakeCrashCashOut: self._take_cash_out,
            EndPhase: self._end_phase,
            Announce: self._announce,
            SettleBets: self._settle_bets,
            broadcast.GetCrashHistory: self._get_history,
            broadcast.GetCrashFairness: self._get_fairness,
        }

    @property
    def tables(self) -> Mapping[str, TableRules]:
        return self._rules

    @property
    def commands(self) -> Mapping[str, CommandSpec]:
        return {spec.name: spec for spec in TABLE_COMMANDS}

    @property
    def pushes(self) -> Mapping[str, PushSpec]:
        return {spec.name: spec for spec in TABLE_PUSHES}

    def initial(self, key: str) -> TableState:
        return TableState(key)

    def decide(self, state: TableState, command: Any, context: Context) -> Decision:
        return self._decide[type(command)](state, command, context)

    def evolve(self, state: TableState, event: Any) -> None:
        events.evolve(state, event)

    def view(self, state: TableState) -> CrashState:
        return table_view.state_of(state, self._rules.get(state.table, _NO_RULES))

    def describe(self, state: TableState) -> str:
        return (
            f"{state.table}: round {state.round} {state.phase.value}, "
            f"{len(state.bets)} bets, {state.staked} staked"
        )

    def rounds_left(self, state: TableState) -> int:
        """How many rounds the table's chain has hashes for, beyond the latest that was opened."""
        try:
            facts = self._hashes.public(state.table, max(1, state.round))
        except ChainExhausted:
            return 0
        return max(0, facts.first_round + facts.length - 1 - state.round)

    def alarm(self, state: TableState) -> Alarm | None:
        if state.table not in self._rules:
            return None
        return next_alarm(state, lambda: self._course(state).ahead(), self._rules[state.table].is_closing)

    def tick(self, state: TableState, now_ms: int) -> Push | None:
        if state.phase is not Phase.RUNNING or self._standing(state, now_ms).ending.at_ms <= now_ms:
            return None
        elapsed = _elapsed_ms(state, now_ms)
        return table_view.tick(state, elapsed, multiplier_at(elapsed))

    @property
    def _hashes(self) -> RoundHashes:
        if self._chains is None:
            raise RuntimeError("this process holds no hash chains, so it can run no Crash table")
        return self._chains

    def _crash_point(self, state: TableState) -> int:
        cached_round, point = self._points.get(state.table, (0, 0))
        if cached_round != state.round:
            table, number = state.table, state.round
            point = crash_point(self._hashes.hash_of(table, number), self._hashes.salt_of(table, number))
            self._points[table] = (number, point)
        return point

    def _standing(self, state: TableState, now_ms: int) -> Standing:
        return self._course(state).standing(now_ms)

    def _course(self, state: TableState) -> Course:
        """Of a running round. What it says of times yet to come is secret."""
        assert state.started_ms is not None
        return Course(
            state.started_ms,
            self._crash_point(state),
            state.liability_max,
            state.open_stakes,
            state.profits_paid,
            state.targets,
            lambda user_id: state.bets[user_id].stake,
            state.capped,
        )

    def _rules_of(self, state: TableState) -> TableRules:
        rules = self._rules.get(state.table)
        if rules is None:
            raise Rejected(f"There is no Crash table {state.table!r}.", UNKNOWN_TABLE)
        return rules

    def _take_bet(self, state: TableState, command: TakeCrashBet, context: Context) -> Decision:
        rules = self._rules_of(state)
        user_id = _player(context)
        if state.phase is not Phase.BETTING or context.now_ms >= state.betting_ends_ms or rules.is_closing:
            raise Rejected("The table takes no bets at the moment.", BETTING_CLOSED)
        if user_id in state.bets:
            raise Rejected("There is a bet of yours in this round.", BET_ALREADY_PLACED)
        stake = command.stake
        # What this player's role allows, their session has seen to.
        stake_max = highest_stake_limit(rules.stake_max)
        if not rules.stake_min <= stake <= stake_max:
            raise Rejected(
                f"The table {state.table!r} takes stakes of {rules.stake_min} to {stake_max}.",
                STAKE_OUT_OF_RANGE,
            )
        if len(state.bets) >= rules.bets_max or state.staked + stake > state.liability_max:
            raise Rejected("The table takes no more bets in this round.", TABLE_FULL)
        return Decision(
            reply=TakeCrashBetResult(state.round, command.bet, stake, command.auto),
            events=(
                events.CrashBetTaken(context.now_ms, state.round, user_id, command.bet, stake, command.auto),
            ),
        )

    def _take_cash_out(self, state: TableState, command: TakeCrashCashOut, context: Context) -> Decision:
        user_id = _player(context)
        bet = _open_bet(state, user_id, command)
        standing = self._standing(state, context.now_ms)
        ending = standing.ending
        capped: list[msgspec.Struct] = []
        if context.now_ms >= ending.at_ms:
            multiplier = paid_at(bet.auto, ending.multiplier, ending.forced)
            if multiplier is None:
                raise Rejected("The round is over.", ROUND_OVER)
            if multiplier != bet.auto and state.capped is None:
                capped.append(events.CrashRoundCapped(state.round, multiplier))
        else:
            multiplier = multiplier_at(_elapsed_ms(state, context.now_ms))
            if bet.auto is not None:
                multiplier = min(multiplier, bet.auto)
            if multiplier < MULTIPLIER_MIN:
                raise Rejected("The multiplier is still 1.00×.", CASH_OUT_TOO_EARLY)
        paid = payout(bet.stake, multiplier)
        return Decision(
            reply=TakeCrashCashOutResult(multiplier, paid, state.round, bet.number, bet.stake),
            events=(
                *capped,
                events.CrashBetCashedOut(context.now_ms, state.round, user_id, bet.number, multiplier, paid),
            ),
        )

    def _end_phase(self, state: TableState, command: EndPhase, context: Context) -> Decision:
        if (command.round, command.phase) != (state.round, state.phase):
            raise Rejected("That phase is over.", NOT_DUE)
        if state.phase is Phase.PAUSE:
            return self._open_round(state, context)
        if state.phase is Phase.BETTING:
            return self._start_round(state, context)
        if state.phase is Phase.RUNNING:
            return self._end_round(state, context)
        if state.owed:
            raise Rejected("There are bets to settle.", NOT_DUE)
        return Decision(TurnDone(), (events.CrashRoundSettled(context.now_ms, state.round),))

    def _open_round(self, state: TableState, context: Context) -> Decision:
        rules = self._rules_of(state)
        if context.now_ms < (state.next_round_ms or 0):
            raise Rejected("The pause is not over.", NOT_DUE)
        number = state.round + 1
        try:
            commitment = table_view.commitment_to(self._hashes.hash_of(state.table, number))
        except ChainExhausted:
            raise Rejected(f"The hash chain ends before round {number}.", OUT_OF_HASHES) from None
        event = events.CrashRoundOpened(
            context.now_ms, number, context.now_ms + rules.betting_ms, rules.liability_max, commitment
        )
        return Decision(TurnDone(), (event,), (table_view.betting_opened(state.table, event),))

    def _start_round(self, state: TableState, context: Context) -> Decision:
        if context.now_ms < state.betting_ends_ms:
            raise Rejected("The time for bets is not over.", NOT_DUE)
        return Decision(
            TurnDone(),
            (events.CrashRoundStarted(state.round, context.now_ms),),
            (*table_view.new_bets(state), table_view.started(state, context.now_ms)),
        )

    def _end_round(self, state: TableState, context: Context) -> Decision:
        ending = self._standing(state, context.now_ms).ending
        if context.now_ms < ending.at_ms:
            raise Rejected("The round is not over.", NOT_DUE)
        event = events.CrashRoundEnded(
            context.now_ms,
            state.round,
            self._hashes.hash_of(state.table, state.round).hex(),
            self._crash_point(state),
            ending.multiplier,
            ending.forced,
            context.now_ms + self._rules_of(state).pause_ms,
        )
        cash_outs = [
            (user_id, multiplier, payout(bet.stake, multiplier))
            for user_id, bet in state.bets.items()
            if bet.multiplier is None
            and (multiplier := paid_at(bet.auto, ending.multiplier, ending.forced)) is not None
        ]
        paid = state.paid + sum(paid for _, _, paid in cash_outs)
        return Decision(
            TurnDone(),
            (event,),
            (*table_view.new_cash_outs(state, cash_outs), table_view.crashed(state, event, paid)),
        )

    def _announce(self, state: TableState, command: Announce, context: Context) -> Decision:
        if (command.round, command.number) != (state.round, state.progressions) or state.phase not in (
            Phase.BETTING,
            Phase.RUNNING,
        ):
            raise Rejected("That has been announced.", NOT_DUE)
        now_ms = context.now_ms
        due = self._standing(state, now_ms).due if state.phase is Phase.RUNNING else 0
        reached = state.targets[: min(due, SENDS_PER_TURN_MAX)]
        is_time_to_show = now_ms >= state.shown_ms + SHOW_INTERVAL_MS
        is_news = bool(reached or state.new_bets or state.new_cash_outs)
        if not reached and not (is_news and is_time_to_show):
            raise Rejected("There is nothing to announce.", NOT_DUE)
        cash_outs = [(user_id, auto, payout(state.bets[user_id].stake, auto)) for auto, user_id in reached]
        return Decision(
            TurnDone(),
            (events.CrashProgressed(now_ms, state.round, len(reached), is_time_to_show),),
            (*table_view.new_bets(state), *table_view.new_cash_outs(state, cash_outs))
            if is_time_to_show
            else (),
            sends=[
                _settlement(state, user_id, state.bets[user_id], multiplier, paid)
                for user_id, multiplier, paid in cash_outs
            ],
        )

    def _settle_bets(self, state: TableState, command: SettleBets, context: Context) -> Decision:
        if (command.round, command.number) != (state.round, state.settlings) or not state.owed:
            raise Rejected("Those bets are settled.", NOT_DUE)
        sends = []
        for user_id in islice(state.owed, SENDS_PER_TURN_MAX):
            bet = state.bets[user_id]
            sends.append(_settlement(state, user_id, bet, bet.multiplier, bet.payout))
        return Decision(TurnDone(), (events.CrashBetsSettled(state.round, len(sends)),), sends=sends)

    def _get_history(
        self, state: TableState, command: broadcast.GetCrashHistory, context: Context
    ) -> Decision:
        history: CrashHistory = table_view.history_of(state, command.limit)
        return Decision(history)

    def _get_fairness(
        self, state: TableState, command: broadcast.GetCrashFairness, context: Context
    ) -> Decision:
        self._rules_of(state)
        try:
            facts = self._hashes.public(state.table, max(1, state.round))
        except ChainExhausted:
            raise Rejected(f"The table {state.table!r} has no hash chain.", OUT_OF_HASHES) from None
        return Decision(
            CrashFairness(state.table, *facts, state.round, self.rounds_left(state), state.previous_hash)
        )


_NO_RULES = TableRules()


def _elapsed_ms(state: TableState, now_ms: int) -> int:
    assert state.started_ms is not None
    return elapsed_ms(state.started_ms, now_ms)


def _player(context: Context) -> str:
    """Who bets: the runtime vouches for the sender of a durable send."""
    if context.sender is None or kind_of(context.sender) != PLAYERS:
        raise Rejected("Only a player's session bets.", NOT_GENUINE)
    return key_of(context.sender)


def _open_bet(state: TableState, user_id: str, command: TakeCrashCashOut) -> Bet:
    """Raises ``Rejected`` when there is no such bet to cash out, as far as can be told without the hash."""
    bet = state.bets.get(user_id)
    if command.round < state.round:
        raise Rejected("The round is over.", ROUND_OVER)
    if (
        bet is None
        or (bet.number, state.round) != (command.bet, command.round)
        or command.escrow != wallet.crash_escrow(state.table, state.round)
        or (bet.multiplier is not None)
    ):
        raise Rejected("There is no open bet of yours in this round.", NO_OPEN_BET)
    if state.phase is Phase.BETTING:
        raise Rejected("The round has not started.", ROUND_NOT_RUNNING)
    if state.phase is not Phase.RUNNING:
        raise Rejected("The round is over.", ROUND_OVER)
    return bet


def _settlement(state: TableState, user_id: str, bet: Bet, multiplier: int | None, paid: int) -> Send:
    player: ActorId = actor_id(PLAYERS, user_id)
    escrow = wallet.crash_escrow(state.table, state.round)
    return Send(
        player,
        "settle_crash_bet",
        SettleCrashBet(state.table, state.round, bet.number, escrow, bet.stake, bet.auto, multiplier, paid),
    )
