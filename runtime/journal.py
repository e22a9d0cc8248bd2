"""The ports to durable storage, and the records that cross them.

``Journal`` is what a host needs, ``Membership`` what the coordinator needs. What an
implementation must guarantee is written here and checked by ``tests/contract``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

import msgspec

from runtime.behavior import Transfer
from runtime.identity import ActorId, ShardId

Incarnation = int
"""One life of one host process. Numbers grow and are never used again."""


class PushRecord(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """One outgoing event: its type and its data as a MessagePack map."""

    type: str
    data: msgspec.Raw


class OutboxRecord(NamedTuple):
    """A durable send. It stands in the outbox until the receiver acknowledged it; with ``then``, a
    command of the sender, until what the receiver made of it has come back by that."""

    command_id: str
    sender: ActorId
    to: ActorId
    name: str
    data: bytes
    then: str = ""


class ReminderRecord(NamedTuple):
    """A durable timer. ``due_ms`` is wall-clock time in ms since the epoch, ``seq`` the turn that set
    it: setting the same name again makes another reminder."""

    actor: ActorId
    name: str
    due_ms: int
    command: str
    data: bytes
    seq: int


ReminderKey = tuple[int, str, str]
"""``(due_ms, actor, name)``: orders reminders by time."""

FIRST_REMINDER: ReminderKey = (-1, "", "")
"""Before every reminder."""


class TurnRecord(msgspec.Struct, gc=False):
    """One turn of one actor: everything a command came to. One journal row."""

    actor: ActorId
    seq: int
    """1 for the actor's first turn, without gaps."""
    command_id: str
    """Unique for the actor as long as the journal keeps the row."""
    fingerprint: int
    """Signed 64-bit digest of the command's name and data."""
    recorded_ms: int
    push_seq: int
    """Number of the actor's outgoing events up to and including this turn's."""
    body: bytes
    """MessagePack ``[events, reply, pushes, reminders]``; see ``runtime.turn``."""
    transfers: Sequence[Transfer] = ()
    sends: Sequence[OutboxRecord] = ()
    reminders_set: Sequence[ReminderRecord] = ()
    reminders_cleared: Sequence[str] = ()
    """Names of reminders of this actor that are gone after this turn."""


class SnapshotRecord(msgspec.Struct, gc=False):
    """State after turn ``seq``. Never newer than the journal: it is committed with it."""

    actor: ActorId
    seq: int
    push_seq: int
    schema_version: int
    state: bytes
    replies: bytes
    """The latest stored replies and the standing reminders, encoded; see ``runtime.activation``."""


class CommitBatch(msgspec.Struct):
    """What one commit makes durable, all or nothing."""

    incarnation: Incarnation
    turns: list[TurnRecord]
    snapshots: list[SnapshotRecord]
    acknowledged: list[str]
    """Command ids of durable sends whose receiver has answered: they leave the outbox."""
    refused: list[tuple[str, str]]
    """(command id, reason) of durable sends that the receiver refused for good: kept, marked."""


class StoredTurn(NamedTuple):
    """A journal row, as read back."""

    actor: ActorId
    seq: int
    command_id: str
    fingerprint: int
    recorded_ms: int
    push_seq: int
    incarnation: Incarnation
    body: bytes


class Recovered(NamedTuple):
    """What the journal knows of one actor: the latest snapshot and the turns after it, in order."""

    actor: ActorId
    snapshot: SnapshotRecord | None
    tail: list[StoredTurn]


class Journal(Protocol):
    """A host's access to the truth."""

    async def commit(self, batch: CommitBatch) -> None:
        """Make the batch durable, unless the incarnation is fenced.

        Atomic. After it returns, the batch survives the loss of every process.

        Raises:
            Fenced: the incarnation is fenced; nothing was written.
            DuplicateTurn: an (actor, command_id) or (actor, seq) exists; nothing was written.
            CommitRefused: a constraint forbids it; nothing was written.
            CommitUnknown: anything else. The batch may be durable, may become so while another
                connection is looking, or may be lost; a retry of the same batch then raises
                ``DuplicateTurn``.
        """
        ...

    async def find(self, commands: Sequence[tuple[ActorId, str]]) -> list[StoredTurn]:
        """The rows of these (actor, command id) pairs, as far as they exist."""
        ...

    async def load(self, actors: Sequence[ActorId]) -> list[Recovered]:
        """What is known of each actor, in the order asked for; unknown ones come back empty."""
        ...

    async def history(self, actor: ActorId, after_push_seq: int, turns_max: int) -> list[StoredTurn] | None:
        """Turns that pushed something after ``after_push_seq``, in order, for backfill.

        ``None`` when there are more than ``turns_max`` or when some are no longer kept.
        """
        ...

    async def unacknowledged(self, after: str, limit: int) -> list[OutboxRecord]:
        """Sends in the outbox that are neither acknowledged nor refused, of all actors, in the order
        of their command ids, beginning behind ``after``."""
        ...

    async def reminders_due(self, before_ms: int, after: ReminderKey, limit: int) -> list[ReminderRecord]:
        """Reminders of all actors that are due by a time, in the order of their keys, beginning
        behind ``after``."""
        ...


class HostRecord(NamedTuple):
    """One incarnation of a host, as the membership table has it."""

    incarnation: Incarnation
    name: str
    address: str
    """Where its data stream listens: ``unix:PATH`` or ``tcp:HOST:PORT``."""
    lease_remaining_s: float
    """Seconds until its lease ends, by the database's clock; negative when it has ended."""
    fenced: bool


class ShardMap(msgspec.Struct, frozen=True):
    """Who owns which shard, at one epoch. ``addresses`` has every owner's."""

    epoch: int
    owners: dict[ShardId, Incarnation]
    addresses: dict[Incarnation, str]


class Desired(NamedTuple):
    """What the operator asked for."""

    session_hosts: int
    gateways: int


class Membership(Protocol):
    """The cluster's memory: incarnations, leases, the shard map. All times by one clock, its own."""

    async def register(self, name: str, address: str, lease_s: float) -> Incarnation:
        """Begin a new life of the host ``name`` with a lease. Owns no shard yet."""
        ...

    async def renew(self, incarnation: Incarnation, lease_s: float) -> bool:
        """Extend the lease to now + ``lease_s``. False when the incarnation is fenced."""
        ...

    async def fence(self, incarnation: Incarnation) -> None:
        """Wait for its commits in flight, and refuse every later one. Idempotent."""
        ...

    async def hosts(self) -> list[HostRecord]:
        """Incarnations that are not fenced, or that still own a shard."""
        ...

    async def shard_map(self) -> ShardMap: ...

    async def assign(
        self, expected_epoch: int, owners: Mapping[ShardId, Incarnation | None]
    ) -> ShardMap | None:
        """Change the owner of some shards (``None`` takes the shard off the map) and raise the epoch.

        ``None`` when the epoch was no longer the expected one, or when a new owner is fenced:
        read again.
        """
        ...

    async def desired(self) -> Desired: ...

    async def set_desired(self, desired: Desired) -> None: ...
