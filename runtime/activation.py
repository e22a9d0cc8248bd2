"""One actor in memory: its state, its place in the journal, and its latest replies.

Knows nothing of commits, streams or shards; ``runtime.host`` drives it.
"""

from __future__ import annotations

import hashlib
import logging
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Generic, NamedTuple

import msgspec

from runtime.behavior import Behavior, CommandSpec, State
from runtime.errors import IdReused, Overloaded, Rejected
from runtime.identity import ActorId, key_of
from runtime.journal import Recovered, SnapshotRecord
from runtime.lifecycle import Phase, check
from runtime.settings import HostSettings
from runtime.stream import Listener, Misrouted
from runtime.turn import answer_of, decode_body, deferred_to

_log = logging.getLogger(__name__)

_encode = msgspec.msgpack.Encoder().encode


class Waiting(NamedTuple):
    ref: int
    listener: Listener


class StoredReply(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """What a command came to, kept for a repeat of its id."""

    fingerprint: int
    reply: bytes


class Codec(Generic[State]):
    """The decoders of one behavior, built once per process."""

    def __init__(self, behavior: Behavior[State], settings: HostSettings | None = None) -> None:
        settings = settings or HostSettings()
        self.behavior = behavior
        self.mailbox_messages_max = behavior.mailbox_messages_max or settings.mailbox_messages_max
        self.snapshot_interval_turns = behavior.snapshot_interval_turns or settings.snapshot_interval_turns
        self.specs: dict[str, CommandSpec] = dict(behavior.commands)
        self.commands: dict[str, Callable[[bytes], Any]] = {
            name: msgspec.msgpack.Decoder(spec.data).decode for name, spec in self.specs.items()
        }
        self.events: Callable[[bytes], Sequence[Any]] = msgspec.msgpack.Decoder(
            list[behavior.events]  # type: ignore[name-defined]
        ).decode
        self.state: Callable[[bytes], State] = msgspec.msgpack.Decoder(behavior.state_type).decode
        self.has_alarms = type(behavior).alarm is not Behavior.alarm


_decode_memory = msgspec.msgpack.Decoder(tuple[dict[str, StoredReply], dict[str, int] | None]).decode


def fingerprint_of(name: str, data: bytes) -> int:
    """64-bit digest of a command's content: tells a repeat from a reused id."""
    digest = hashlib.blake2b(data, digest_size=8, key=name.encode()).digest()
    return int.from_bytes(digest, "big", signed=True)


class Activation(Generic[State]):
    """A resident actor. ``state``, ``seq`` and ``push_seq`` may run ahead of the journal by
    ``uncommitted`` turns."""

    __slots__ = (
        "actor",
        "codec",
        "is_new",
        "known",
        "last_used_s",
        "mailbox",
        "phase",
        "push_seq",
        "reload_due",
        "reminders",
        "repeats",
        "replies",
        "seq",
        "snapshot_seq",
        "state",
        "uncommitted",
        "waiting",
    )

    def __init__(self, actor: ActorId, codec: Codec[State], now_s: float) -> None:
        self.actor = actor
        self.codec = codec
        self.phase = Phase.LOADING
        self.state: State = None  # type: ignore[assignment]  # there is none before the load
        self.seq = 0
        self.push_seq = 0
        self.snapshot_seq = 0
        self.uncommitted = 0
        self.replies: dict[str, StoredReply] = {}
        self.known: dict[str, StoredReply] | None = None
        """Replies that a refused commit found in the journal, until its requests have run again."""
        self.reminders: dict[str, int] | None = None
        """Standing reminders: name → the turn that set it."""
        self.is_new = False
        self.reload_due = False
        """Unsound since a rule failed half way: to be loaded when its commits under way are done."""
        self.repeats = 0
        """How often a commit was refused because a client repeated an old command id."""
        self.waiting: dict[str, list[Waiting]] | None = None
        """Who waits for a deferred reply, by the id of the command that will give it."""
        self.mailbox: deque[Any] | None = deque()
        self.last_used_s = now_s

    def become(self, phase: Phase) -> None:
        self.phase = check(self.phase, phase)

    def recover(self, recovered: Recovered, replies_max: int) -> None:
        """Rebuild the state from a snapshot and the turns after it."""
        behavior = self.codec.behavior
        snapshot = recovered.snapshot
        if snapshot is None:
            self.state = behavior.initial(key_of(self.actor))
            self.seq = self.push_seq = self.snapshot_seq = 0
            self.replies = {}
            self.reminders = None
        else:
            if snapshot.schema_version == behavior.schema_version:
                self.state = self.codec.state(snapshot.state)
            else:
                self.state = behavior.upgrade(snapshot.schema_version, snapshot.state)
            self.seq = self.snapshot_seq = snapshot.seq
            self.push_seq = snapshot.push_seq
            self.replies, self.reminders = _decode_memory(snapshot.replies)
        for turn in recovered.tail:
            body = decode_body(turn.body)
            for event in self.codec.events(body.events):
                behavior.evolve(self.state, event)
            self.seq = turn.seq
            self.push_seq = turn.push_seq
            self.replies[turn.command_id] = StoredReply(turn.fingerprint, bytes(body.reply))
            if body.reminders:
                self.keep_reminders(turn.seq, body.reminders)
        self.is_new = behavior.is_new(self.state)
        self.trim_replies(replies_max)

    def snapshot(self) -> SnapshotRecord | None:
        """The state after turn ``seq``, to be committed no earlier than that turn; None when the latest
        one is of that turn, or when the state cannot be encoded: the journal has it all the same."""
        if self.seq == self.snapshot_seq:
            return None
        try:
            record = self._record()
        except Exception:
            _log.exception("no snapshot", extra={"actor": self.actor})
            return None
        self.snapshot_seq = self.seq
        return record

    def _record(self) -> SnapshotRecord:
        return SnapshotRecord(
            actor=self.actor,
            seq=self.seq,
            push_seq=self.push_seq,
            schema_version=self.codec.behavior.schema_version,
            state=_encode(self.state),
            replies=_encode((self.replies, self.reminders)),
        )

    def stored_reply(self, command_id: str, fingerprint: int) -> bytes | None:
        """The reply of a repeated command, or None for one never seen (or no longer in memory).

        Raises:
            IdReused: the id stands for a command with other content.
        """
        stored = self.replies.get(command_id)
        if stored is None and self.known is not None:
            stored = self.known.get(command_id)
        if stored is None:
            return None
        if stored.fingerprint != fingerprint:
            raise IdReused(f"the id {command_id!r} was used for another command")
        return stored.reply

    def wait(self, answer_id: str, ref: int, listener: Listener) -> None:
        """Have a caller wait for a deferred reply.

        Raises:
            Overloaded: too many wait already.
        """
        waiting = self.waiting = self.waiting or {}
        if sum(map(len, waiting.values())) >= self.codec.mailbox_messages_max:
            raise Overloaded("too many callers wait for deferred replies")
        waiting.setdefault(answer_id, []).append(Waiting(ref, listener))

    def answered(self, answer_id: str, reply: bytes) -> None:
        """Tell those who waited for this reply, now that it is durable."""
        if self.waiting is None:
            return
        callers = self.waiting.pop(answer_id, [])
        deferral = deferred_to(reply)
        if deferral is not None:
            self.waiting.setdefault(deferral, []).extend(callers)
        else:
            for ref, listener in callers:
                listener.send(answer_of(ref, reply))
        self.waiting = self.waiting or None

    def no_longer_waits(self, requests: Iterable[tuple[Any, Listener | None]]) -> None:
        """These run again by themselves, so nobody needs to ask again for them."""
        if self.waiting is None:
            return
        running = {(request.ref, id(listener)) for request, listener in requests}
        kept = {
            answer: [caller for caller in callers if (caller.ref, id(caller.listener)) not in running]
            for answer, callers in self.waiting.items()
        }
        self.waiting = {answer: callers for answer, callers in kept.items() if callers} or None

    def dismiss(self) -> None:
        """The actor is loaded anew, or leaves: whoever waits must ask again."""
        waiting, self.waiting = self.waiting, None
        for callers in (waiting or {}).values():
            for ref, listener in callers:
                listener.send(Misrouted(ref))

    def keep_reply(self, command_id: str, stored: StoredReply, replies_max: int) -> None:
        """Remember a reply. Those of uncommitted turns are never forgotten: the journal, which
        answers for the rest, does not have them yet."""
        replies = self.replies
        replies[command_id] = stored
        if len(replies) > replies_max and len(replies) > self.uncommitted + 1:
            del replies[next(iter(replies))]

    def keep_reminders(self, seq: int, changes: Sequence[tuple[str, int | None]]) -> None:
        """Take note of the reminders that turn ``seq`` set and cleared."""
        standing = self.reminders or {}
        for name, due_ms in changes:
            if due_ms is None:
                standing.pop(name, None)
            else:
                standing[name] = seq
        self.reminders = standing or None

    def trim_replies(self, replies_max: int) -> None:
        excess = len(self.replies) - replies_max
        if excess > 0:
            self.replies = dict(list(self.replies.items())[excess:])

    def decode_command(self, name: str, data: bytes) -> Any:
        """Raises:
        Rejected: the actor has no such command, or the data does not fit it.
        """
        decode = self.codec.commands.get(name)
        if decode is None:
            raise Rejected(f"{self.codec.behavior.kind} has no command {name!r}", "unknown_command")
        try:
            return decode(data)
        except (ValueError, RecursionError) as error:
            raise Rejected(str(error), "invalid_data") from None
