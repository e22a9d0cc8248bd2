"""Runs one command on one resident actor: recognise repeats, decide, evolve, queue for commit.

Synchronous from start to end, so an actor has one command at a time by construction.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import msgspec

from runtime.activation import Activation, StoredReply, fingerprint_of
from runtime.behavior import Context, Decision, Refusal
from runtime.clock import Clock
from runtime.command_ids import (
    ALARM_PREFIX,
    ANSWER_PREFIX,
    INTERNAL,
    REMINDER_PREFIX,
    answer_id,
    reminder_of,
    send_id,
)
from runtime.errors import CommandError, IdReused, InternalError, Overloaded, Rejected
from runtime.group_commit import Entry, GroupCommit
from runtime.identity import ActorId
from runtime.journal import OutboxRecord, ReminderRecord, TurnRecord
from runtime.outbox import NOT_FINAL
from runtime.recall import Asked, Recall
from runtime.settings import HostSettings
from runtime.stream import Attach, Deliver, Failure, Listener, Message, Misrouted, Result
from runtime.turn import answer_of, deferred_to, encode, encode_body

_log = logging.getLogger(__name__)


class _Origin(NamedTuple):
    """Where a request comes from, as far as it makes a difference."""

    is_remembered: bool = False
    """A question, or the answer to one: what it came to is remembered, even if that is a refusal."""
    reminder: str | None = None
    """The reminder that fired."""
    is_journaled: bool = False
    """Even if it has no events."""


_CLIENT = _Origin()
_ALARM = _Origin()
_QUESTION = _Origin(is_remembered=True)
_ANSWER = _Origin(is_remembered=True, is_journaled=True)


_NOTED = Result(0, msgspec.Raw(encode({})))
"""What an outbox that brings an answer needs to hear: it does not wait for what comes of it."""


class Executor:
    """``may_speak`` says whether the host's lease still allows an answer that no commit vouches for;
    ``unsound`` is called when a rule failed half way through its events, ``changed`` when an actor
    that may have an alarm has had a turn."""

    def __init__(
        self,
        gate: GroupCommit,
        clock: Clock,
        entropy: Callable[[int], bytes],
        settings: HostSettings,
        may_speak: Callable[[], bool],
        unsound: Callable[[Activation[Any]], None],
        changed: Callable[[Activation[Any]], None],
        recall: Recall,
    ) -> None:
        self._gate = gate
        self._clock = clock
        self._entropy = entropy
        self._settings = settings
        self._may_speak = may_speak
        self._unsound = unsound
        self._changed = changed
        self._recall = recall

    def perform(self, activation: Activation[Any], request: Deliver, listener: Listener | None) -> None:
        """Run a command now. Whatever it comes to, ``listener`` gets one answer."""
        answer: Message | None
        try:
            answer = self._run(activation, request, listener)
        except Overloaded as error:
            # Rests on nothing, and must not lengthen the queue that it complains of.
            self.say(listener, _failure(request.ref, error))
            return
        except CommandError as error:
            if isinstance(error, IdReused):
                _log.warning("command id used for another command", extra=_named(request))
            answer = _failure(request.ref, error)
            if listener is not None and _may_have_forgotten(activation):
                listener = self._recall.doubting(request, listener)
        except Exception:
            _log.exception("command failed", extra=_named(request))
            answer = _failure(request.ref, InternalError("the actor failed; nothing was changed"))
        if answer is not None and listener is not None:
            self.answer(activation, listener, answer, request)

    def answer(
        self,
        activation: Activation[Any],
        listener: Listener,
        answer: Message,
        request: Deliver | Attach,
    ) -> None:
        """Say something that changes nothing. It may rest on turns that are not durable yet: then
        it waits for them."""
        if not activation.uncommitted:
            self.say(listener, answer if self._may_speak() else Misrouted(request.ref))
        elif self._gate.pending_entries >= self._settings.pending_turns_max:
            self.say(listener, _failure(request.ref, Overloaded("too many answers are waiting")))
        else:
            self._gate.add(Entry(activation, request, listener, answer))

    def tell(self, activation: Activation[Any], listener: Listener, message: Message) -> None:
        """Say something that nobody asked for and that may be left out."""
        if not activation.uncommitted:
            if self._may_speak():
                listener.send(message)
        elif self._gate.pending_entries < self._settings.pending_turns_max:
            self._gate.add(Entry(activation, None, listener, message))

    @staticmethod
    def say(listener: Listener | None, message: Message) -> None:
        if listener is not None:
            listener.send(message)

    def _run(
        self, activation: Activation[Any], request: Deliver, listener: Listener | None
    ) -> Message | None:
        """The answer, or None when there is none to give, or it comes later."""
        origin = _CLIENT if request.command_id[0] != INTERNAL else _origin_of(activation, request)
        if origin is None:
            return None
        data = bytes(request.data)
        fingerprint = fingerprint_of(request.name, data)
        repeated = activation.stored_reply(request.command_id, fingerprint)
        if repeated is not None:
            return self._repeat(activation, request, listener, repeated)
        if listener is not None:
            if request.again and type(listener) is not Asked and _may_have_forgotten(activation):
                self._recall.ask(request, listener)
                return None
            if (
                activation.uncommitted >= activation.codec.mailbox_messages_max
                or self._gate.pending_entries >= self._settings.pending_turns_max
            ):
                raise Overloaded("too many commands are waiting to become durable")
        now_ms = self._clock.now_ms()
        try:
            command = activation.decode_command(request.name, data)
            context = Context(activation.actor, request.command_id, now_ms, self._entropy, request.sender)
            decision = activation.codec.behavior.decide(activation.state, command, context)
        except Exception as error:
            if origin.reminder is not None:
                # A reminder that its own actor refuses would come back for ever: its turn is empty.
                _log.error("reminder refused", extra={**_named(request), "reason": str(error)})
                decision = Decision({})
            elif origin.is_remembered and _is_final(error):
                decision = Decision(Refusal(error.code, error.message))  # type: ignore[attr-defined]
            else:
                raise
        if isinstance(decision.reply, Refusal) and not decision.events and origin is _QUESTION:
            if listener is not None and type(listener) is not Asked and _may_have_forgotten(activation):
                self._recall.ask(request, listener)
                return None
            # Whoever asked may act on the refusal: asked again, it must hear the same.
            origin = _ANSWER
        if decision.events or origin.is_journaled:
            return self._journal(activation, request, listener, decision, fingerprint, now_ms, origin)
        if decision.pushes or decision.transfers or decision.sends or decision.reminders:
            raise InternalError(f"{request.name} has effects but no event")
        if decision.reply is None:
            raise InternalError(f"{request.name} defers its reply, but asks nobody")
        if isinstance(decision.reply, Refusal):
            raise Rejected(decision.reply.message, decision.reply.code)
        return answer_of(request.ref, encode(decision.reply))

    def _repeat(
        self, activation: Activation[Any], request: Deliver, listener: Listener | None, reply: bytes
    ) -> Message | None:
        deferral = deferred_to(reply)
        if deferral is None:
            return answer_of(request.ref, reply)
        if request.command_id.startswith(ANSWER_PREFIX):
            return _NOTED
        given = activation.replies.get(deferral)
        if given is not None:
            return self._repeat(activation, request, listener, given.reply)
        if listener is not None:
            # Replies are forgotten in their order, so this one has not been given yet.
            activation.wait(deferral, request.ref, listener)
        return None

    def _journal(
        self,
        activation: Activation[Any],
        request: Deliver,
        listener: Listener | None,
        decision: Decision,
        fingerprint: int,
        now_ms: int,
        origin: _Origin,
    ) -> Message | None:
        """Apply a decision and queue its turn. Whatever can fail comes before the first change."""
        actor = activation.actor
        seq = activation.seq + 1
        reminders = [(reminder.name, reminder.due_ms) for reminder in decision.reminders]
        if origin.reminder is not None:
            reminders.insert(0, (origin.reminder, None))
        deferral = None
        reply_or_deferral: msgspec.Struct | Mapping[str, Any] | str | None = decision.reply
        if reply_or_deferral is None:
            reply_or_deferral = deferral = _deferral(actor, seq, decision)
        body, reply, pushes = encode_body(decision.events, reply_or_deferral, decision.pushes, reminders)
        turn = TurnRecord(
            actor=actor,
            seq=seq,
            command_id=request.command_id,
            fingerprint=fingerprint,
            recorded_ms=now_ms,
            push_seq=activation.push_seq + len(decision.pushes),
            body=body,
            transfers=decision.transfers,
        )
        if decision.sends:
            turn.sends = [
                OutboxRecord(
                    send_id(actor, seq, index), actor, send.to, send.name, encode(send.data), send.then
                )
                for index, send in enumerate(decision.sends)
            ]
        if reminders:
            turn.reminders_set, turn.reminders_cleared = _reminder_rows(actor, seq, decision, origin)
        if deferral is not None and listener is not None and origin is not _ANSWER:
            activation.wait(deferral, request.ref, listener)
        behavior = activation.codec.behavior
        state = activation.state
        try:
            for event in decision.events:
                behavior.evolve(state, event)
        except Exception:
            _log.exception("event failed", extra=_named(request))
            self._unsound(activation)
            self.say(listener, _failure(request.ref, InternalError("the actor failed; nothing was changed")))
            return None
        activation.seq = seq
        activation.push_seq = turn.push_seq
        if reminders:
            activation.keep_reminders(seq, reminders)
        activation.keep_reply(
            request.command_id, StoredReply(fingerprint, reply), self._settings.replies_kept_max
        )
        answer: Message | None = None
        if deferral is None:
            answer = answer_of(request.ref, reply)
        elif origin is _ANSWER:
            answer = _NOTED
        entry = Entry(activation, request, listener, answer, turn, pushes, pushes_count=len(decision.pushes))
        if request.command_id.startswith(ANSWER_PREFIX):
            entry.deferred_reply = reply
        if seq - activation.snapshot_seq >= activation.codec.snapshot_interval_turns:
            entry.snapshot = activation.snapshot()
        self._gate.add(entry)
        if activation.codec.has_alarms and decision.events:
            self._changed(activation)
        return None


def _named(request: Deliver) -> dict[str, str]:
    """What a line in the log says of a command."""
    return {"actor": request.actor, "command": request.name, "command_id": request.command_id}


def _failure(ref: int, error: CommandError) -> Failure:
    return Failure(ref, error.code, error.message, error.retryable)


def _is_final(error: Exception) -> bool:
    return isinstance(error, Rejected) and not error.retryable and error.code not in NOT_FINAL


def _may_have_forgotten(activation: Activation[Any]) -> bool:
    return activation.seq > len(activation.replies)


def _origin_of(activation: Activation[Any], request: Deliver) -> _Origin | None:
    """None for a reminder that has been moved, was cleared, or has fired before."""
    command_id = request.command_id
    if request.sender == request.actor:
        if command_id.startswith(REMINDER_PREFIX):
            name, set_by = reminder_of(command_id)
            if activation.reminders is None or activation.reminders.get(name) != set_by:
                return None
            return _Origin(reminder=name, is_journaled=True)
        if command_id.startswith(ALARM_PREFIX):
            return _ALARM
    if command_id.startswith(ANSWER_PREFIX) and request.sender is not None:
        return _ANSWER
    return _QUESTION if request.is_question else _CLIENT


def _deferral(actor: ActorId, seq: int, decision: Decision) -> str:
    """The id of the command that will give the reply."""
    questions = [index for index, send in enumerate(decision.sends) if send.then]
    if len(questions) != 1:
        raise InternalError(f"a deferred reply needs one question, not {len(questions)}")
    return answer_id(send_id(actor, seq, questions[0]))


def _reminder_rows(
    actor: ActorId, seq: int, decision: Decision, origin: _Origin
) -> tuple[list[ReminderRecord], list[str]]:
    """Rows to write, and names of rows to delete."""
    cleared = {reminder.name for reminder in decision.reminders if reminder.due_ms is None}
    if origin.reminder is not None:
        cleared.add(origin.reminder)
    rows = [
        ReminderRecord(actor, r.name, r.due_ms, r.command, encode(r.data if r.data else {}), seq)
        for r in decision.reminders
        if r.due_ms is not None
    ]
    return rows, sorted(cleared - {row.name for row in rows})
