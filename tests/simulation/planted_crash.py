"""Faults planted into what came with Crash: questions and their answers, alarms, ticks, topics, and the
tables themselves."""

from __future__ import annotations

from itertools import count
from typing import Any

from msgspec.structs import replace

from actors import wallet
from actors.crash import alarms as alarms_of_tables
from actors.crash import table, table_state, table_view
from actors.crash.round import Phase
from actors.crash.table import CrashTable
from actors.crash.table_commands import EndPhase
from actors.games.crash import MULTIPLIER_MAX, crash_point, elapsed_until_above, multiplier_at, payout
from gateway.topics import _Topic
from runtime import alarms, executor, outbox
from runtime.activation import Activation
from runtime.behavior import Remind
from runtime.command_ids import ALARM_PREFIX, ANSWER_PREFIX, INTERNAL
from runtime.executor import Executor
from runtime.host import Host
from runtime.outbox import Outbox
from runtime.residents import Residents
from tests.simulation.planting import Patches, Planted

# Questions


def _question_struck_off_too_soon() -> Patches:
    init = Outbox.__init__

    def eager(self: Outbox, *arguments: Any) -> None:
        init(self, *arguments)
        bring = self._deliver_here

        def bring_and_strike(request: Any, listener: Any) -> None:
            bring(request, listener)
            self._gate.acknowledge(INTERNAL + request.command_id.removeprefix(ANSWER_PREFIX))

        self._deliver_here = bring_and_strike

    yield Outbox, "__init__", eager


def _questions_of_the_dead_not_asked_again() -> Patches:
    add = Outbox._add

    def forgetful(self: Outbox, send: Any, again: bool) -> None:
        if not (again and send.then):
            add(self, send, again)

    yield Outbox, "_add", forgetful


def _refusal_of_a_question_not_remembered() -> Patches:
    yield executor, "_QUESTION", executor._Origin()


def _deferred_reply_released_before_commit() -> Patches:
    journal = Executor._journal

    def early(self: Executor, activation: Any, request: Any, *rest: Any) -> Any:
        answer = journal(self, activation, request, *rest)
        entry = self._gate._forming[-1] if self._gate._forming else None
        if entry is not None and entry.request is request and entry.deferred_reply is not None:
            activation.answered(request.command_id, entry.deferred_reply)
        return answer

    yield Executor, "_journal", early


def _waiting_callers_kept_at_a_rollback() -> Patches:
    yield Activation, "dismiss", lambda self: None
    yield Activation, "no_longer_waits", lambda self, requests: None


def _who_runs_again_is_sent_away_too() -> Patches:
    yield Activation, "no_longer_waits", lambda self, requests: None


def _nobody_within_hears_of_a_lapsed_lease() -> Patches:
    yield Host, "_hold_back", lambda self, entry: None


def _answer_under_a_fresh_id() -> Patches:
    """The answer comes under the id of nothing in particular."""
    returned, numbers = outbox._returned, count()

    def fresh(send: Any, answer: Any) -> Any:
        request = returned(send, answer)
        return replace(request, command_id=f"{request.command_id}/{next(numbers)}")

    yield outbox, "_returned", fresh


# Alarms, ticks, tables that are always on


def _alarm_not_set_after_a_load() -> Patches:
    recovered = Residents.recovered

    def silent(self: Residents, activation: Any, found: Any) -> None:
        recovered(self, activation, found)
        if activation.seq:
            self.alarms.disarm(activation.actor)

    yield Residents, "recovered", silent


def _alarm_id_not_unique() -> Patches:
    yield alarms, "alarm_id", lambda name: ALARM_PREFIX + name.partition("/")[2]


def _ticks_do_not_wait() -> Patches:
    def tell(self: Executor, activation: Any, listener: Any, message: Any) -> None:
        listener.send(message)

    yield Executor, "tell", tell


def _tables_wait_to_be_asked() -> Patches:
    yield Residents, "wake_always_on", lambda self: None


# Topics


def _topic_not_attached_again() -> Patches:
    yield _Topic, "lost", lambda self: None


def _newcomers_hear_events_before_the_view() -> Patches:
    join = _Topic.join

    def eager(self: _Topic, member: Any) -> None:
        self._live.add(member)
        join(self, member)

    yield _Topic, "join", eager


# Tables


def _settled_twice() -> Patches:
    settle = CrashTable._settle_bets

    def twice(self: CrashTable, *arguments: Any) -> Any:
        decision = settle(self, *arguments)
        return replace(decision, sends=[*decision.sends, *decision.sends])

    yield CrashTable, "_settle_bets", twice


def _reached_targets_not_settled() -> Patches:
    announce = CrashTable._announce

    def silent(self: CrashTable, *arguments: Any) -> Any:
        return replace(announce(self, *arguments), sends=[])

    yield CrashTable, "_announce", silent


def _targets_judged_at_the_end() -> Patches:
    """Nobody looks before the end, and then it is too late."""

    def paid_at(auto: int | None, multiplier: int, forced: bool) -> int | None:
        return multiplier if forced else None

    yield alarms_of_tables, "_running", lambda state, end: alarms_of_tables._end_phase(state, end.at_ms)
    yield table, "paid_at", paid_at
    yield table_state, "paid_at", paid_at


def _targets_paid_at_the_moment() -> Patches:
    """What the table gets to late is paid as late."""
    announce = CrashTable._announce

    def late(self: CrashTable, state: Any, command: Any, context: Any) -> Any:
        decision = announce(self, state, command, context)
        if not decision.sends:
            return decision
        now = min(multiplier_at(max(0, context.now_ms - state.started_ms)), MULTIPLIER_MAX)
        sends = [
            send._replace(data=replace(send.data, multiplier=now, payout=payout(send.data.stake, now)))
            for send in decision.sends
        ]
        return replace(decision, sends=sends)

    yield CrashTable, "_announce", late


def _cash_out_after_the_crash() -> Patches:
    take = CrashTable._take_cash_out

    def late(self: CrashTable, state: Any, *arguments: Any) -> Any:
        self._points[state.table] = (state.round, 10**9)
        try:
            return take(self, state, *arguments)
        finally:
            del self._points[state.table]

    yield CrashTable, "_take_cash_out", late


def _bet_forgotten_on_recovery() -> Patches:
    recover = Activation.recover

    def forgetful(self: Activation[Any], recovered: Any, replies_max: int) -> None:
        recover(self, recovered, replies_max)
        bets = getattr(self.state, "bets", None)
        if bets and self.state.phase is Phase.BETTING:
            user, bet = bets.popitem()
            self.state.targets = [target for target in self.state.targets if target[1] != user]
            self.state.new_bets = [name for name in self.state.new_bets if name != user]
            self.state.staked -= bet.stake
            self.state.open_stakes -= bet.stake

    yield Activation, "recover", forgetful


def _hold_on_a_refused_bet_kept() -> Patches:
    yield wallet, "release", lambda gold, user_id, amount, reason: ([], gold)


def _round_ends_by_a_reminder() -> Patches:
    start = CrashTable._start_round

    def remind(self: CrashTable, state: Any, context: Any) -> Any:
        at_ms = context.now_ms + elapsed_until_above(self._crash_point(state))
        data = EndPhase(state.round, Phase.RUNNING)
        return replace(start(self, state, context), reminders=[Remind("end", at_ms, "end_phase", data)])

    yield CrashTable, "_start_round", remind


def _crash_point_in_disguise() -> Patches:
    """In the opening event, added to a number that nobody looks at."""
    opened = CrashTable._open_round

    def telling(self: CrashTable, state: Any, context: Any) -> Any:
        decision = opened(self, state, context)
        [event] = decision.events
        point = crash_point(
            self._hashes.hash_of(state.table, event.round), self._hashes.salt_of(state.table, event.round)
        )
        return replace(decision, events=(replace(event, liability_max=event.liability_max + point),))

    yield CrashTable, "_open_round", telling


def _crash_point_in_the_state() -> Patches:
    """So that it need not be computed again after a crash."""
    start = CrashTable._start_round

    def telling(self: CrashTable, state: Any, context: Any) -> Any:
        decision = start(self, state, context)
        kept = table_state.CrashProgressed(self._crash_point(state), state.round, 0, False)
        return replace(decision, events=(*decision.events, kept))

    yield CrashTable, "_start_round", telling


def _round_shows_its_own_hash() -> Patches:
    yield table_view, "commitment_to", lambda round_hash: round_hash.hex()


PAUSED = frozenset(
    {"host_pause", "host_superseded", "database_cut", "database_down", "table_pause", "table_cut"}
)


def _of_tables(name: str, patches: Any, seeds_max: int = 60, needs: frozenset[str] = frozenset()) -> Planted:
    return Planted(name, patches, seeds_max, needs, is_of_tables=True)


PLANTED_CRASH = (
    _of_tables("a question struck off before its answer is durable", _question_struck_off_too_soon, 20),
    _of_tables("questions of the dead not asked again", _questions_of_the_dead_not_asked_again, 60),
    _of_tables("the refusal of a question not remembered", _refusal_of_a_question_not_remembered, 20),
    _of_tables("a deferred reply released before the commit", _deferred_reply_released_before_commit, 20),
    _of_tables("an answer under a fresh id each time", _answer_under_a_fresh_id, 20),
    _of_tables("waiting callers kept at a rollback", _waiting_callers_kept_at_a_rollback, 30),
    _of_tables("who runs again is sent away too", _who_runs_again_is_sent_away_too, 30),
    _of_tables("nobody within hears of a lapsed lease", _nobody_within_hears_of_a_lapsed_lease, 1500, PAUSED),
    _of_tables("alarm not set again after a load", _alarm_not_set_after_a_load, 30),
    _of_tables("alarm id not unique", _alarm_id_not_unique, 20),
    _of_tables("ticks do not wait for the gate", _ticks_do_not_wait, 120),
    _of_tables("tables wait to be asked", _tables_wait_to_be_asked, 60),
    _of_tables("a topic is not attached again", _topic_not_attached_again, 400),
    _of_tables("newcomers hear events before the view", _newcomers_hear_events_before_the_view, 60),
    _of_tables("bets settled twice", _settled_twice, 20),
    _of_tables("reached targets not settled", _reached_targets_not_settled, 20),
    _of_tables("targets judged at the end", _targets_judged_at_the_end, 80),
    _of_tables("targets paid at the moment", _targets_paid_at_the_moment, 120),
    _of_tables("cash-out after the crash", _cash_out_after_the_crash, 150),
    _of_tables("bet forgotten on recovery", _bet_forgotten_on_recovery, 200),
    _of_tables("the hold on a refused bet is kept", _hold_on_a_refused_bet_kept, 20),
    _of_tables("a round ends by a reminder", _round_ends_by_a_reminder, 20),
    _of_tables("crash point in disguise", _crash_point_in_disguise, 20),
    _of_tables("crash point in the state", _crash_point_in_the_state, 20),
    _of_tables("a round shows its own hash", _round_shows_its_own_hash, 20),
)
