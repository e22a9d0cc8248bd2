"""Accounts: who may have a session. Holds no game state and no gold."""

from __future__ import annotations

import datetime
from typing import NamedTuple

import asyncpg

from persistence.postgres.account_database import AccountDatabase

ACCOUNT_COLUMNS = "user_id, kind, username, role, role_changes, banned_at, ban_reason, created_at"


class Account(NamedTuple):
    """See ``gateway.ports.AccountRecord``."""

    user_id: str
    kind: str
    username: str | None
    role: str
    role_changes: int
    banned_at: datetime.datetime | None
    ban_reason: str | None
    created_at: datetime.datetime


def account_of(row: asyncpg.Record) -> Account:
    """From a row that has, among others, the ``ACCOUNT_COLUMNS``."""
    return Account(*(row[column] for column in Account._fields))


class PostgresAccounts:
    """See ``gateway.ports.AccountStore``."""

    def __init__(self, database: AccountDatabase) -> None:
        self._database = database

    async def create_guest(self, user_id: str) -> None:
        """Idempotent, so that it may be repeated after a lost answer."""
        await self._database.execute(
            "INSERT INTO accounts (user_id, kind) VALUES ($1, 'guest') ON CONFLICT DO NOTHING", user_id
        )

    async def account(self, user_id: str) -> Account | None:
        row = await self._database.row(
            f"SELECT {ACCOUNT_COLUMNS} FROM accounts WHERE user_id = $1",  # noqa: S608
            user_id,
        )
        return account_of(row) if row else None

    async def account_named(self, username: str) -> Account | None:
        row = await self._database.row(
            f"SELECT {ACCOUNT_COLUMNS} FROM accounts"  # noqa: S608
            ' WHERE lower(username) = lower($1 COLLATE "C")',
            username,
        )
        return account_of(row) if row else None
