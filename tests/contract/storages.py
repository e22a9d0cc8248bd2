"""The two implementations of the storage ports, behind one face, so that one suite runs on both."""

from __future__ import annotations

import asyncio
from typing import Protocol

import asyncpg

from persistence.postgres.journal import PostgresJournal
from persistence.postgres.membership import PostgresMembership
from runtime.journal import Journal, Membership
from runtime.memory_journal import MemoryJournal, MemoryMembership
from tests.contract.turns import ManualClock


class Storage(Protocol):
    membership: Membership

    def journal(self) -> Journal:
        """A host's own access to the one truth."""
        ...

    async def balance(self, account: str) -> int | None:
        """Of an account with a floor; ``None`` when there is no such account."""
        ...

    async def turns(self) -> int:
        """Rows in the journal."""
        ...

    async def pass_time(self, seconds: float) -> None: ...


class MemoryStorage:
    def __init__(self) -> None:
        self._clock = ManualClock()
        self.membership = MemoryMembership(self._clock)
        self._journal = MemoryJournal(self.membership)

    def journal(self) -> Journal:
        return self._journal

    async def balance(self, account: str) -> int | None:
        return self._journal.balances.get(account)

    async def turns(self) -> int:
        return self._journal.turns_kept

    async def pass_time(self, seconds: float) -> None:
        self._clock.seconds += seconds


class PostgresStorage:
    def __init__(self, dsn: str) -> None:
        self.dsn = dsn
        self.membership = PostgresMembership(dsn)
        self._journals: list[PostgresJournal] = []

    def journal(self) -> Journal:
        self._journals.append(PostgresJournal(self.dsn))
        return self._journals[-1]

    async def value(self, query: str, *arguments: object) -> object:
        connection = await asyncpg.connect(self.dsn)
        try:
            return await connection.fetchval(query, *arguments)
        finally:
            await connection.close()

    async def balance(self, account: str) -> int | None:
        value = await self.value("SELECT balance FROM balances WHERE account = $1", account)
        assert value is None or isinstance(value, int)
        return value

    async def turns(self) -> int:
        value = await self.value("SELECT count(*) FROM journal")
        assert isinstance(value, int)
        return value

    async def pass_time(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def close(self) -> None:
        await self.membership.close()
        for journal in self._journals:
            await journal.close()
