"""Group commit and the output gate: what actors decided becomes durable, then visible.

Entries queue in the order in which they were decided. One commit is under way at a time; all
that gathers meanwhile forms the next. An entry's ``release`` runs only after everything queued
up to it is durable, so nobody outside can see a turn that might still be lost.
"""

from __future__ import annotations

import asyncio
from itertools import islice
from typing import Any, Protocol

import msgspec

from runtime.activation import Activation, StoredReply
from runtime.clock import Clock
from runtime.errors import CommitRefused, CommitUnknown, DuplicateTurn, Fenced, JournalError
from runtime.identity import ActorId
from runtime.journal import (
    CommitBatch,
    Incarnation,
    Journal,
    SnapshotRecord,
    TurnRecord,
)
from runtime.lifecycle import Phase
from runtime.metrics import COMMIT_SECONDS_BOUNDS, COMMIT_TURNS_BOUNDS, Histogram
from runtime.recall import Found, find_replies
from runtime.stream import Listener, Message

_RETRY_S = 0.05


class Entry(msgspec.Struct, gc=False):
    """One thing that waits behind the gate.

    ``request`` and ``listener`` are what caused it, kept to run it again after a rollback.
    """

    activation: Activation[Any]
    request: Any = None
    listener: Listener | None = None
    answer: Message | None = None
    turn: TurnRecord | None = None
    pushes: bytes | None = None
    """The turn's outgoing events, encoded: a list of ``PushRecord``."""
    pushes_count: int = 0
    snapshot: SnapshotRecord | None = None
    deferred_reply: bytes | None = None
    """The turn's reply, for those whose own reply was deferred to it."""


class GateOwner(Protocol):
    """What the gate asks of its host."""

    def release_entries(self, entries: list[Entry]) -> None:
        """These are durable: let out what they say, in order."""
        ...

    def roll_back(
        self, activation: Activation[Any], entries: list[Entry], known: dict[str, StoredReply] | None
    ) -> None:
        """None of these turns of the actor will ever be durable: forget its state, load it anew
        and run the requests again, in order. ``known`` are replies the journal already holds."""
        ...

    def refuse(self, activation: Activation[Any], entry: Entry, reason: str) -> None:
        """The database forbids this turn: forget the state, and tell the caller."""
        ...

    def fenced(self) -> None:
        """Another incarnation took over: stop, answer nothing more."""
        ...


class CommitStatistics:
    """Totals of a host since it began."""

    def __init__(self) -> None:
        self.commits = 0
        self.turns = 0
        self.rollbacks = 0
        self.refused = 0
        self.unknown = 0
        self.seconds = Histogram(COMMIT_SECONDS_BOUNDS)
        """Of each commit that succeeded, from handing it to the journal."""
        self.batch_turns = Histogram(COMMIT_TURNS_BOUNDS)


class GroupCommit:
    """The queue, and the task that empties it."""

    def __init__(
        self,
        journal: Journal,
        incarnation: Incarnation,
        owner: GateOwner,
        clock: Clock,
        turns_per_commit_max: int,
    ) -> None:
        self._journal = journal
        self._incarnation = incarnation
        self._owner = owner
        self._clock = clock
        self._turns_per_commit_max = turns_per_commit_max
        self._forming: list[Entry] = []
        self._acknowledged: list[str] = []
        self._refused: list[tuple[str, str]] = []
        self._wake = asyncio.Event()
        self.pending_entries = 0
        self.pending_turns = 0
        self.statistics = CommitStatistics()

    def add(self, entry: Entry) -> None:
        """Queue an entry behind everything queued before."""
        self.pending_entries += 1
        if entry.turn is not None:
            self.pending_turns += 1
            entry.activation.uncommitted += 1
        self._forming.append(entry)
        self._wake.set()

    def withdraw(self, actor: ActorId) -> list[Entry]:
        """Take an actor's entries back, but for those whose commit is under way."""
        gone = self._take_forming(actor)
        self._forget(gone)
        return gone

    def acknowledge(self, command_id: str) -> None:
        """A durable send was applied by its receiver: strike it off the outbox."""
        self._acknowledged.append(command_id)
        self._wake.set()

    def refuse_send(self, command_id: str, reason: str) -> None:
        """A durable send was refused by its receiver for good: mark it for the operator."""
        self._refused.append((command_id, reason))
        self._wake.set()

    async def run(self) -> None:
        """Commit until cancelled or fenced."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._forming or self._acknowledged or self._refused:
                entries = self._take()
                try:
                    await self._commit(entries)
                except Fenced:
                    self._owner.fenced()
                    return

    def _take(self) -> list[Entry]:
        forming = self._forming
        if len(forming) <= self._turns_per_commit_max:
            self._forming = []
            return forming
        entries = list(islice(forming, self._turns_per_commit_max))
        del forming[: self._turns_per_commit_max]
        return entries

    async def _commit(self, entries: list[Entry]) -> None:
        acknowledged, self._acknowledged = self._acknowledged, []
        refused, self._refused = self._refused, []
        while True:
            batch = CommitBatch(
                incarnation=self._incarnation,
                turns=[entry.turn for entry in entries if entry.turn is not None],
                snapshots=[entry.snapshot for entry in entries if entry.snapshot is not None],
                acknowledged=acknowledged,
                refused=refused,
            )
            if not (batch.turns or batch.snapshots or acknowledged or refused):
                break
            started = self._clock.monotonic()
            try:
                await self._journal.commit(batch)
            except CommitUnknown:
                self.statistics.unknown += 1
                if await self._is_settled(batch, entries):
                    break
                await asyncio.sleep(_RETRY_S)
            except DuplicateTurn:
                before = len(entries)
                if await self._is_settled(batch, entries):
                    break
                if len(entries) == before:
                    # Nobody repeated a command id, so a stranger wrote our sequence numbers.
                    raise Fenced("another incarnation writes the same actors") from None
            except CommitRefused as error:
                self._acknowledged = acknowledged + self._acknowledged
                self._refused = refused + self._refused
                await self._isolate(entries, error)
                return
            else:
                statistics = self.statistics
                statistics.commits += 1
                statistics.turns += len(batch.turns)
                statistics.seconds.observe(self._clock.monotonic() - started)
                statistics.batch_turns.observe(len(batch.turns))
                break
        self._done(entries)

    def _done(self, entries: list[Entry]) -> None:
        self._forget(entries)
        self._owner.release_entries(entries)

    async def _is_settled(self, batch: CommitBatch, entries: list[Entry]) -> bool:
        """Re-read after a commit that failed or whose outcome is unknown.

        True when the batch turns out to be durable. Otherwise the actors whose command ids were
        used before are rolled back and leave ``entries``; what is left can be tried again.
        """
        if not batch.turns:
            return False
        stored = await self._find(batch)
        if not stored:
            return False
        foreign: dict[ActorId, dict[str, StoredReply]] = {}
        own = 0
        for turn in batch.turns:
            found = stored.get((turn.actor, turn.command_id))
            if found is None:
                continue
            if found.turn.incarnation == self._incarnation and found.turn.seq == turn.seq:
                own += 1
            else:
                reply = StoredReply(found.turn.fingerprint, found.reply)
                foreign.setdefault(turn.actor, {})[turn.command_id] = reply
        if own == len(batch.turns):
            return True
        for actor, known in foreign.items():
            self.statistics.rollbacks += 1
            self._withdraw(actor, entries, known)
        return False

    async def _find(self, batch: CommitBatch) -> dict[tuple[ActorId, str], Found]:
        wanted = [(turn.actor, turn.command_id) for turn in batch.turns]
        while True:
            try:
                return await find_replies(self._journal, wanted)
            except Fenced:
                raise
            except JournalError:
                # The lease bounds this wait: a host that cannot reach its journal cannot renew.
                await asyncio.sleep(_RETRY_S)

    def _withdraw(self, actor: ActorId, entries: list[Entry], known: dict[str, StoredReply] | None) -> None:
        """Take an actor's entries out of this commit and of the next, and roll it back."""
        gone = [entry for entry in entries if entry.activation.actor == actor]
        entries[:] = [entry for entry in entries if entry.activation.actor != actor]
        self._forget(gone)
        gone += self.withdraw(actor)
        self._owner.roll_back(gone[0].activation, gone, known)

    def _take_forming(self, actor: ActorId) -> list[Entry]:
        gone = [entry for entry in self._forming if entry.activation.actor == actor]
        if gone:
            self._forming = [entry for entry in self._forming if entry.activation.actor != actor]
        return gone

    def _forget(self, entries: list[Entry]) -> None:
        self.pending_entries -= len(entries)
        for entry in entries:
            if entry.turn is not None:
                self.pending_turns -= 1
                entry.activation.uncommitted -= 1

    async def _isolate(self, entries: list[Entry], error: CommitRefused) -> None:
        """One turn spoils the batch: commit each actor's turns alone, so that only its own suffer."""
        actors = list(dict.fromkeys(e.activation.actor for e in entries if e.turn or e.snapshot))
        if not actors:
            # Only strokes in the outbox, which a journal has no reason to refuse. Their sends are
            # delivered again, recognised, and acknowledged again.
            self._acknowledged.clear()
            self._refused.clear()
        elif len(actors) == 1:
            await self._isolate_turn([e for e in entries if e.activation.actor == actors[0]], error)
        else:
            for actor in actors:
                await self._commit([entry for entry in entries if entry.activation.actor == actor])
        alone = set(actors)
        self._done([entry for entry in entries if entry.activation.actor not in alone])

    async def _isolate_turn(self, entries: list[Entry], error: CommitRefused) -> None:
        """All of one actor: commit one turn after the other until the defective one is found. Those
        behind it were decided on a state that will never be, and run again."""
        activation = entries[0].activation
        if len(entries) == 1:
            self.statistics.refused += 1
            self._forget(entries)
            self._owner.refuse(activation, entries[0], str(error))
            later = self.withdraw(activation.actor)
            if later:
                self._owner.roll_back(activation, later, None)
            return
        for position, entry in enumerate(entries):
            await self._commit([entry])
            if activation.phase in (Phase.LOADING, Phase.GONE):
                rest = entries[position + 1 :]
                self._forget(rest)
                rest += self.withdraw(activation.actor)
                if rest:
                    self._owner.roll_back(activation, rest, None)
                return
