"""The database of the simulation: Postgres' promises about transactions around the in-memory journal.

A commit takes time between its check and its effect. Meanwhile it holds its keys and accounts, so
that whoever wants the same waits for its end; fencing waits for it too; and it goes on when its
client has given up, died, or was told nothing. Reads see what is committed at their instant.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import msgspec

from runtime.errors import CommitUnknown, JournalError
from runtime.identity import ActorId
from runtime.journal import CommitBatch, Incarnation, TurnRecord
from runtime.memory_journal import CONSTRAINED, MemoryJournal, MemoryMembership
from tests.simulation.loop import Simulator


class DatabaseClock:
    """The server's own clock, by which leases are measured."""

    def __init__(self, simulator: Simulator, drift: float) -> None:
        self._simulator = simulator
        self._rate = 1.0 + drift

    def monotonic(self) -> float:
        return self._simulator.now * self._rate

    def now_ms(self) -> int:
        raise AssertionError("the journal reads no wall clock")


def outcome(work: Any) -> Any:
    """The result of a coroutine of the in-memory journal, which never waits."""
    try:
        work.send(None)
    except StopIteration as done:
        return done.value
    raise AssertionError("the in-memory journal waited")


class Transaction:
    """A commit between its first statement and its end."""

    def __init__(self, batch: CommitBatch, reply: Callable[[JournalError | None], None]) -> None:
        self.batch = batch
        self.reply = reply
        self.is_aborted = False
        self.waiters: list[Callable[[], None]] = []
        locks: dict[Any, None] = {}
        for turn in batch.turns:
            locks[turn.actor, turn.command_id] = None
            locks[turn.actor, turn.seq] = None
            for transfer in turn.transfers:
                for account in (transfer.debit, transfer.credit):
                    if account.startswith(CONSTRAINED):
                        locks[account] = None
        self.locks = locks


class Watch:
    """What a checker sees. Called at the instant of the effect, before anybody else can see it."""

    def committing(self, batch: CommitBatch) -> None: ...

    def assigned(self) -> None: ...


class DatabaseSettings(msgspec.Struct):
    commit_s: float = 0.002
    """Usual duration of a commit; one in ``slow_one_in`` takes up to ``slow_s``."""
    slow_one_in: int = 0
    slow_s: float = 0.5
    refuse_one_in: int = 0
    """Any call, at once: the connection breaks before it."""
    lose_request_one_in: int = 0
    """Commits that never arrive."""
    lose_reply_one_in: int = 0
    """Commits that happen, and whose client is told of a broken connection."""
    late_one_in: int = 0
    """Commits that happen after their client was told of a broken connection."""
    late_s: float = 1.0
    abort_one_in: int = 0
    """Commits that the server gives up on the way."""


class Database:
    """One server, shared by all processes."""

    def __init__(self, simulator: Simulator, seed: str, settings: DatabaseSettings, drift: float) -> None:
        self.simulator = simulator
        self.settings = settings
        self.membership = MemoryMembership(DatabaseClock(simulator, drift))
        self.journal = MemoryJournal(self.membership)
        self.watch = Watch()
        self.down_until = 0.0
        self.counts: dict[str, int] = {}
        self.turns: dict[tuple[ActorId, int], TurnRecord] = {}
        """As they were committed, with what the journal does not read back."""
        self.random = Random(f"{seed}/database")
        self._running: dict[Transaction, None] = {}
        self._locks: dict[Any, Transaction] = {}
        self._fencing: dict[Incarnation, list[Callable[[], None]]] = {}
        self._cut: dict[tuple[str, bool], float] = {}

    def heal(self) -> None:
        self.settings = DatabaseSettings(commit_s=self.settings.commit_s)
        self.down_until = 0.0
        self._cut.clear()

    def cut(self, name: str, is_request: bool, duration_s: float) -> None:
        """A process' requests, or the answers to it, get lost for a while."""
        self._cut[name, is_request] = self.simulator.now + duration_s

    def is_cut(self, name: str, is_request: bool) -> bool:
        return bool(self._cut) and self.simulator.now < self._cut.get((name, is_request), 0.0)

    @property
    def is_down(self) -> bool:
        return self.simulator.now < self.down_until

    def strikes(self, kind: str, one_in: int) -> bool:
        if one_in and self.random.random() * one_in < 1.0:
            self.counts[kind] = self.counts.get(kind, 0) + 1
            return True
        return False

    def go_down(self, duration_s: float) -> None:
        """A crash of the server: what was not committed is not, and nobody can connect."""
        self.down_until = max(self.down_until, self.simulator.now + duration_s)
        for transaction in list(self._running):
            self._end(transaction, aborted=True)

    # Commits

    def begin(self, transaction: Transaction) -> None:
        """The statement has arrived."""
        if self.is_down or transaction.is_aborted:
            return
        for lock in transaction.locks:
            holder = self._locks.get(lock)
            if holder is not None:
                holder.waiters.append(lambda: self.begin(transaction))
                return
        try:
            self._check(transaction.batch)
        except JournalError as error:
            transaction.reply(error)
            return
        for lock in transaction.locks:
            self._locks[lock] = transaction
        self._running[transaction] = None
        self.simulator.after(self._duration(), self._finish, transaction)

    def _duration(self) -> float:
        settings = self.settings
        duration = settings.commit_s * (0.5 + self.random.random())
        if self.strikes("commit_slow", settings.slow_one_in):
            duration += settings.slow_s * self.random.random()
        return duration

    def _check(self, batch: CommitBatch) -> None:
        """Everything that could refuse the batch, without its effect."""
        journal = self.journal
        if not self.membership.may_write(batch.incarnation):
            outcome(journal.commit(CommitBatch(batch.incarnation, [], [], [], [])))
        journal._check_duplicates(batch.turns)
        journal._checked_deltas(batch.turns)
        journal._check_sends(batch.turns)

    def _finish(self, transaction: Transaction) -> None:
        if transaction not in self._running:
            return
        if self.strikes("commit_aborted", self.settings.abort_one_in):
            self._end(transaction, aborted=True)
            return
        batch = transaction.batch
        self.watch.committing(batch)
        outcome(self.journal.commit(batch))
        for turn in batch.turns:
            self.turns[turn.actor, turn.seq] = turn
        self._end(transaction, aborted=False)

    def _end(self, transaction: Transaction, aborted: bool) -> None:
        del self._running[transaction]
        for lock in transaction.locks:
            del self._locks[lock]
        if aborted:
            transaction.is_aborted = True
            transaction.reply(CommitUnknown("the server gave it up"))
        else:
            transaction.reply(None)
        for waiter in transaction.waiters:
            waiter()
        incarnation = transaction.batch.incarnation
        if incarnation in self._fencing and not self.in_flight(incarnation):
            for fence in self._fencing.pop(incarnation):
                fence()

    def in_flight(self, incarnation: Incarnation) -> bool:
        return any(t.batch.incarnation == incarnation for t in self._running)

    # Fencing

    def fence(self, incarnation: Incarnation, done: Callable[[], None]) -> None:
        """Once no commit of the incarnation is in flight."""

        def effect() -> None:
            outcome(self.membership.fence(incarnation))
            done()

        if self.in_flight(incarnation):
            self._fencing.setdefault(incarnation, []).append(effect)
        else:
            effect()
