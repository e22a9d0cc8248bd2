"""Families of refresh tokens, known by their SHA-256 only."""

from __future__ import annotations

import datetime
from typing import NamedTuple

import asyncpg

from persistence.postgres.account_database import AccountDatabase
from persistence.postgres.accounts import Account, account_of


class Grant(NamedTuple):
    """See ``gateway.ports.GrantRecord``."""

    account: Account
    issued_at: datetime.datetime


class PostgresRefreshTokens:
    """See ``gateway.ports.RefreshTokenStore``. The rules are in ``sql/0004_sign_in.sql`` and 0005."""

    def __init__(self, database: AccountDatabase) -> None:
        self._database = database

    async def open(self, user_id: str, token_hash: bytes, lifetime_s: float) -> Grant:
        return self._grant(
            await self._database.change(
                "SELECT * FROM open_refresh_family($1, $2, $3)", user_id, token_hash, lifetime_s
            )
        )

    async def rotate(
        self, token_hash: bytes, successor_hash: bytes, lifetime_s: float, grace_s: float
    ) -> Grant:
        # Repeated after a lost answer it is granted again, as long as that is within the grace.
        return self._grant(
            await self._database.change(
                "SELECT * FROM rotate_refresh_token($1, $2, $3, $4)",
                token_hash,
                successor_hash,
                lifetime_s,
                grace_s,
            )
        )

    async def revoke_family(self, token_hash: bytes) -> None:
        await self._database.execute("SELECT end_refresh_family_of($1)", token_hash)

    async def revoke_all(self, user_id: str) -> None:
        await self._database.execute("SELECT log_out_everywhere($1)", user_id)

    @staticmethod
    def _grant(row: asyncpg.Record) -> Grant:
        return Grant(account_of(row), row["issued_at"])
