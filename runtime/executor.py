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
from runtime.journal import OutboxRecord, ReminderRecord, TurnRecord
from runtime.settings import HostSettings
from runtime.stream import Deliver, Failure, Message, Result
from runtime.turn import encode, encode_body

_log = logging.getLogger(__name__)

REMINDER_PREFIX = "reminder/"


class Executor:
    """``may_speak`` says whether the host's lease still allows an answer that no commit vouches for."""

    def __init__(
        self,
        gate: GroupCommit,
        clock: Clock,
        entropy: Callable[[int], bytes],
        settings: HostSettings,
        may_speak: Callable[[], bool],
    ) -> None:
        self._gate = gate
        self._clock = clock
        self._entropy = entropy
        self._settings = settings
        self._may_speak = may_speak

    def perform(self, activation: Activation[Any], request: Deliver, listener: Listener | None) -> None:
        """Run a command now. Whatever it comes to, ``listener`` gets one answer."""
        try:
            answer = self._run(activation, request, listener)
        except CommandError as error:
            answer = Failure(request.ref, error.code, error.message, error.retryable)
        except Exception:
            _log.exception("command failed", extra={"actor": request.actor, "command": request.name})
            answer = Failure(request.ref, "internal", "the actor failed; nothing was changed", False)
        if answer is not None and listener is not None:
            self.answer(activation, listener, answer, request)

    def answer(self, activation: Activation[Any], listener: Listener, answer: Message, request: Any) -> None:
        """Say something that changes nothing. It may rest on turns that are not durable yet: then
        it waits for them."""
        if activation.uncommitted:
            self._gate.add(Entry(activation, request, listener, answer))
        elif self._may_speak():
            listener.send(answer)

    def _run(
        self, activation: Activation[Any], request: Deliver, listener: Listener | None
    ) -> Message | None:
        """The answer, or None when it waits behind the gate with the turn."""
        data = bytes(request.data)
        fingerprint = fingerprint_of(request.name, data)
        repeated = activation.stored_reply(request.command_id, fingerprint)
        if repeated is not None:
            return Result(request.ref, msgspec.Raw(repeated))
        if listener is not None and (
            activation.uncommitted >= self._settings.mailbox_messages_max
            or self._gate.pending_turns >= self._settings.pending_turns_max
        ):
            raise Overloaded("too many commands are waiting to become durable")
        now_ms = self._clock.now_ms()
        fired = _reminder_of(request)
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
        self._journal(activation, request, listener, decision, fingerprint, now_ms, fired)
        return None

    def _journal(
        self,
        activation: Activation[Any],
        request: Deliver,
        listener: Listener | None,
        decision: Decision,
        fingerprint: int,
        now_ms: int,
        fired: str | None,
    ) -> None:
        """Apply a decision and queue its turn."""
        body, reply, pushes = encode_body(decision.events, decision.reply, decision.pushes)
        actor = activation.actor
        seq = activation.seq + 1
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
                OutboxRecord(f"{actor}:{seq}:{index}", actor, send.to, send.name, encode(send.data))
                for index, send in enumerate(decision.sends)
            ]
        if decision.reminders or fired is not None:
            _set_reminders(turn, decision, fired)
        behavior = activation.codec.behavior
        state = activation.state
        for event in decision.events:
            behavior.evolve(state, event)
        activation.seq = seq
        activation.push_seq = turn.push_seq
        activation.keep_reply(
            request.command_id,
            StoredReply(fingerprint, reply),
            self._settings.replies_kept_max,
        )
        answer = Result(request.ref, msgspec.Raw(reply))
        entry = Entry(activation, request, listener, answer, turn, pushes, pushes_count=len(decision.pushes))
        if seq - activation.snapshot_seq >= self._settings.snapshot_interval_turns:
            entry.snapshot = activation.snapshot()
        self._gate.add(entry)


def _reminder_of(request: Deliver) -> str | None:
    """The name of the reminder that this command is the firing of."""
    if request.sender != request.actor or not request.command_id.startswith(REMINDER_PREFIX):
        return None
    return request.command_id.removeprefix(REMINDER_PREFIX).rpartition("/")[0]


def _set_reminders(turn: TurnRecord, decision: Decision, fired: str | None) -> None:
    cleared = {reminder.name for reminder in decision.reminders if reminder.due_ms is None}
    if fired is not None:
        cleared.add(fired)
    turn.reminders_set = [
        ReminderRecord(turn.actor, r.name, r.due_ms, r.command, encode(r.data if r.data else {}))
        for r in decision.reminders
        if r.due_ms is not None
    ]
    turn.reminders_cleared = sorted(cleared - {r.name for r in turn.reminders_set})
