"""A process' connections to the simulated database: the runtime's two storage ports.

Does what ``persistence.postgres`` does around its statements: commits are tried once, everything
else again until a deadline. Must not decide what is true; that is ``database``'s.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from runtime.errors import CommitUnknown, JournalError
from runtime.identity import ActorId, ShardId
from runtime.journal import (
    CommitBatch,
    Desired,
    HostRecord,
    Incarnation,
    OutboxRecord,
    Recovered,
    ReminderKey,
    ReminderRecord,
    ShardMap,
    StoredTurn,
)
from tests.simulation.database import Database, Transaction, outcome
from tests.simulation.loop import DEAD, ProcessLoop

COMMIT_TIMEOUT_S = 5.0
READ_TIMEOUT_S = 10.0
READ_ATTEMPT_S = 5.0
MEMBERSHIP_TIMEOUT_S = 10.0
MEMBERSHIP_ATTEMPT_S = 1.0


class Unreachable(JournalError):
    """What ``persistence`` calls DatabaseUnavailable."""


class Connection:
    """One process' way to the database."""

    def __init__(self, database: Database, loop: ProcessLoop, timeout_s: float, attempt_s: float) -> None:
        self._database = database
        self._loop = loop
        self._timeout_s = timeout_s
        self._attempt_s = attempt_s

    def _way(self) -> float:
        database = self._database
        return database.settings.commit_s * (0.1 + 0.2 * database.random.random())

    async def _retried(
        self, statement: Callable[[Callable[[Any], None]], None], may_wait: bool = False
    ) -> Any:
        """Run a statement that may be repeated until it is answered."""
        loop, database = self._loop, self._database
        deadline = loop.time() + self._timeout_s
        delay = 0.02
        while True:
            answered: asyncio.Future[Any] = loop.create_future()
            self._attempt(statement, answered, may_wait)
            try:
                return await answered
            except Unreachable:
                pause = delay * (0.5 + database.random.random())
                if loop.time() + pause >= deadline:
                    raise
            await asyncio.sleep(pause)
            delay = min(2 * delay, 1.0)

    def _attempt(
        self, statement: Callable[[Callable[[Any], None]], None], answered: Any, may_wait: bool
    ) -> None:
        database, loop = self._database, self._loop
        if loop.state == DEAD:
            return
        simulator = database.simulator
        there, back = self._way(), self._way()

        def settle(result: Any, failed: bool) -> None:
            if not answered.done():
                if failed:
                    answered.set_exception(Unreachable("no answer"))
                else:
                    answered.set_result(result)

        if database.strikes("call_refused", database.settings.refuse_one_in):
            simulator.at(simulator.now + there, loop, settle, (None, True))
            return
        name = loop.name
        if database.is_cut(name, True):
            loop.call_later(self._attempt_s, settle, None, True)
            return

        def reply(result: Any) -> None:
            if database.is_cut(name, False):
                simulator.at(simulator.now + self._attempt_s, loop, settle, (None, True))
            else:
                simulator.at(simulator.now + back, loop, settle, (result, False))

        def arrive() -> None:
            if database.is_down:
                simulator.at(simulator.now + back, loop, settle, (None, True))
            elif database.strikes("reply_lost", database.settings.lose_reply_one_in):
                statement(lambda _: None)
                simulator.at(simulator.now + back, loop, settle, (None, True))
            else:
                statement(reply)

        simulator.after(there, arrive)
        if may_wait:
            loop.call_later(self._attempt_s, settle, None, True)

    async def _read(self, work: Callable[[], Any]) -> Any:
        return await self._retried(lambda reply: reply(outcome(work())))


class SimulatedJournal(Connection):
    """``runtime.journal.Journal``."""

    def __init__(self, database: Database, loop: ProcessLoop) -> None:
        super().__init__(database, loop, READ_TIMEOUT_S, READ_ATTEMPT_S)
        self._journal = database.journal

    async def commit(self, batch: CommitBatch) -> None:
        database, loop = self._database, self._loop
        simulator, settings = database.simulator, database.settings
        answered: asyncio.Future[JournalError | None] = loop.create_future()
        if loop.state == DEAD:
            await answered
        # What is sent is what it was when it was sent.
        sent = CommitBatch(
            batch.incarnation,
            list(batch.turns),
            list(batch.snapshots),
            list(batch.acknowledged),
            list(batch.refused),
        )

        def settle(error: JournalError | None) -> None:
            if not answered.done():
                answered.set_result(error)

        there, back = self._way(), self._way()
        broken = CommitUnknown("the connection broke")
        told_s: float | None = None
        is_told = True
        if database.strikes("commit_lost", settings.lose_request_one_in):
            simulator.at(simulator.now + there, loop, settle, (broken,))
            is_told = False
            there = -1.0
        elif database.strikes("commit_reply_lost", settings.lose_reply_one_in):
            is_told, told_s = False, -1.0
        elif database.strikes("commit_late", settings.late_one_in):
            is_told, told_s = False, there
            there += settings.late_s * database.random.random()

        def reply(error: JournalError | None) -> None:
            if database.is_cut(loop.name, False):
                return
            if is_told:
                simulator.at(simulator.now + back, loop, settle, (error,))
            elif told_s == -1.0:
                simulator.at(simulator.now + back, loop, settle, (broken,))

        if told_s is not None and told_s >= 0.0:
            simulator.at(simulator.now + told_s, loop, settle, (broken,))
        transaction = Transaction(sent, reply)
        if there >= 0.0 and not database.is_cut(loop.name, True):

            def arrive() -> None:
                if database.is_down:
                    simulator.at(simulator.now + back, loop, settle, (broken,))
                else:
                    database.begin(transaction)

            simulator.after(there, arrive)
        timeout = loop.call_later(COMMIT_TIMEOUT_S, settle, CommitUnknown("no answer in time"))
        error = await answered
        timeout.cancel()
        if error is not None:
            raise error

    async def find(self, commands: Sequence[tuple[ActorId, str]]) -> list[StoredTurn]:
        return await self._read(lambda: self._journal.find(commands))

    async def load(self, actors: Sequence[ActorId]) -> list[Recovered]:
        """Two statements, as on Postgres: a commit may come between them."""
        first = await self._read(lambda: self._journal.load(actors))

        def tails() -> Any:
            turns = self._journal._turns
            return [
                found._replace(
                    tail=[
                        stored
                        for seq, stored in sorted(turns.get(found.actor, {}).items())
                        if seq > (found.snapshot.seq if found.snapshot else 0)
                    ]
                )
                for found in first
            ]

        return await self._retried(lambda reply: reply(tails()))

    async def history(self, actor: ActorId, after_push_seq: int, turns_max: int) -> list[StoredTurn] | None:
        return await self._read(lambda: self._journal.history(actor, after_push_seq, turns_max))

    async def unacknowledged(self, after: str, limit: int) -> list[OutboxRecord]:
        return await self._read(lambda: self._journal.unacknowledged(after, limit))

    async def reminders_due(self, before_ms: int, after: ReminderKey, limit: int) -> list[ReminderRecord]:
        return await self._read(lambda: self._journal.reminders_due(before_ms, after, limit))


class SimulatedMembership(Connection):
    """``runtime.journal.Membership``."""

    def __init__(self, database: Database, loop: ProcessLoop) -> None:
        super().__init__(database, loop, MEMBERSHIP_TIMEOUT_S, MEMBERSHIP_ATTEMPT_S)
        self._membership = database.membership

    async def register(self, name: str, address: str, lease_s: float) -> Incarnation:
        return await self._read(lambda: self._membership.register(name, address, lease_s))

    async def renew(self, incarnation: Incarnation, lease_s: float) -> bool:
        return await self._read(lambda: self._membership.renew(incarnation, lease_s))

    async def fence(self, incarnation: Incarnation) -> None:
        await self._retried(
            lambda reply: self._database.fence(incarnation, lambda: reply(None)), may_wait=True
        )

    async def hosts(self) -> list[HostRecord]:
        return await self._read(self._membership.hosts)

    async def shard_map(self) -> ShardMap:
        return await self._read(self._membership.shard_map)

    async def assign(
        self, expected_epoch: int, owners: Mapping[ShardId, Incarnation | None]
    ) -> ShardMap | None:
        wanted = dict(owners)

        async def assign() -> ShardMap | None:
            assigned = await self._membership.assign(expected_epoch, wanted)
            self._database.watch.assigned()
            return assigned

        return await self._read(assign)

    async def desired(self) -> Desired:
        return await self._read(self._membership.desired)

    async def set_desired(self, desired: Desired) -> None:
        await self._read(lambda: self._membership.set_desired(desired))
