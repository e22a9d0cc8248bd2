"""Runs one command on one resident actor: recognise repeats, decide, evolve, queue for commit.

Synchronous from start to end, so an actor has one command at a time by construction.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import msgspec

from runtime.activation import Activation, StoredReply, fingerprint_of
from runtime.behavior import Context, Decision
from runtime.clock import Clock
from runtime.errors import CommandError, InternalError, Overloaded
from runtime.group_commit import Entry, GroupCommit, Listener
from runtime.identity import ActorId
from runtime.journal import OutboxRecord, ReminderRecord, TurnRecord
from runtime.recall import Recall
from runtime.settings import HostSettings
from runtime.stream import Attach, Deliver, Failure, Message, Misrouted, Result
from runtime.turn import encode, encode_body

_log = logging.getLogger(__name__)

INTERNAL = "\x01"
"""Begins every command id that the runtime makes. Gateways refuse it in a client's id, so nobody can
take such an id in advance."""

REMINDER_PREFIX = f"{INTERNAL}reminder/"


class Executor:
    """``may_speak`` says whether the host's lease still allows an answer that no commit vouches for;
    ``unsound`` is called when a rule failed half way through its events."""

    def __init__(
        self,
        gate: GroupCommit,
        clock: Clock,
        entropy: Callable[[int], bytes],
        settings: HostSettings,
        may_speak: Callable[[], bool],
        unsound: Callable[[Activation[Any]], None],
        recall: Recall,
    ) -> None:
        self._gate = gate
        self._clock = clock
        self._entropy = entropy
        self._settings = settings
        self._may_speak = may_speak
        self._unsound = unsound
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
            answer = _failure(request.ref, error)
        except Exception:
            _log.exception("command failed", extra={"actor": request.actor, "command": request.name})
            answer = _failure(request.ref, InternalError("the actor failed; nothing was changed"))
        if answer is not None and listener is not None:
            if type(answer) is Failure and activation.seq > len(activation.replies):
                # Some replies are forgotten: it may be a repeat, refused because it was applied.
                listener = self._recall.listener(request, listener)
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

    @staticmethod
    def say(listener: Listener | None, message: Message) -> None:
        if listener is not None:
            listener.send(message)

    def _run(
        self, activation: Activation[Any], request: Deliver, listener: Listener | None
    ) -> Message | None:
        """The answer, or None when there is none to give, or it waits behind the gate with the turn."""
        fired = None
        if request.sender == request.actor and request.command_id.startswith(REMINDER_PREFIX):
            fired, _, set_by = request.command_id.removeprefix(REMINDER_PREFIX).rpartition("/")
            if activation.reminders is None or activation.reminders.get(fired) != int(set_by):
                return None  # moved, cleared, or fired before
        data = bytes(request.data)
        fingerprint = fingerprint_of(request.name, data)
        repeated = activation.stored_reply(request.command_id, fingerprint)
        if repeated is not None:
            return Result(request.ref, msgspec.Raw(repeated))
        if listener is not None and (
            activation.uncommitted >= self._settings.mailbox_messages_max
            or self._gate.pending_entries >= self._settings.pending_turns_max
        ):
            raise Overloaded("too many commands are waiting to become durable")
        now_ms = self._clock.now_ms()
        try:
            command = activation.decode_command(request.name, data)
            context = Context(activation.actor, request.command_id, now_ms, self._entropy, request.sender)
            decision = activation.codec.behavior.decide(activation.state, command, context)
        except Exception as error:
            if fired is None:
                raise
            # A reminder that its own actor refuses would come back for ever: its turn is empty.
            _log.error("reminder refused", extra={"actor": request.actor, "reason": str(error)})
            decision = Decision({})
        if not decision.events and fired is None:
            if decision.pushes or decision.transfers or decision.sends or decision.reminders:
                raise InternalError(f"{request.name} has effects but no event")
            return Result(request.ref, msgspec.Raw(encode(decision.reply)))
        return self._journal(activation, request, listener, decision, fingerprint, now_ms, fired)

    def _journal(
        self,
        activation: Activation[Any],
        request: Deliver,
        listener: Listener | None,
        decision: Decision,
        fingerprint: int,
        now_ms: int,
        fired: str | None,
    ) -> Message | None:
        """Apply a decision and queue its turn. Whatever can fail comes before the first change."""
        actor = activation.actor
        seq = activation.seq + 1
        reminders = [(reminder.name, reminder.due_ms) for reminder in decision.reminders]
        if fired is not None:
            reminders.insert(0, (fired, None))
        body, reply, pushes = encode_body(decision.events, decision.reply, decision.pushes, reminders)
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
                OutboxRecord(_send_id(actor, seq, index), actor, send.to, send.name, encode(send.data))
                for index, send in enumerate(decision.sends)
            ]
        if reminders:
            turn.reminders_set, turn.reminders_cleared = _reminder_rows(actor, seq, decision, fired)
        behavior = activation.codec.behavior
        state = activation.state
        try:
            for event in decision.events:
                behavior.evolve(state, event)
        except Exception:
            _log.exception("event failed", extra={"actor": actor, "command": request.name})
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
        answer = Result(request.ref, msgspec.Raw(reply))
        entry = Entry(activation, request, listener, answer, turn, pushes, pushes_count=len(decision.pushes))
        if seq - activation.snapshot_seq >= self._settings.snapshot_interval_turns:
            entry.snapshot = activation.snapshot()
        self._gate.add(entry)
        return None


def _failure(ref: int, error: CommandError) -> Failure:
    return Failure(ref, error.code, error.message, error.retryable)


def _send_id(actor: ActorId, seq: int, index: int) -> str:
    """Of fixed width, so that the order of the ids of one actor is the order of its sends."""
    return f"{INTERNAL}{actor}:{seq:012d}:{index:03d}"


def reminder_id(reminder: ReminderRecord) -> str:
    """The command id of a reminder's firing."""
    return f"{REMINDER_PREFIX}{reminder.name}/{reminder.seq}"


def _reminder_rows(
    actor: ActorId, seq: int, decision: Decision, fired: str | None
) -> tuple[list[ReminderRecord], list[str]]:
    """Rows to write, and names of rows to delete."""
    cleared = {reminder.name for reminder in decision.reminders if reminder.due_ms is None}
    if fired is not None:
        cleared.add(fired)
    rows = [
        ReminderRecord(actor, r.name, r.due_ms, r.command, encode(r.data if r.data else {}), seq)
        for r in decision.reminders
        if r.due_ms is not None
    ]
    return rows, sorted(cleared - {row.name for row in rows})
