"""User names and password hashes: signing up, looking up for a login, changing the password."""

from __future__ import annotations

import datetime
from typing import NamedTuple

import asyncpg

from persistence.postgres.account_database import AccountDatabase
from persistence.postgres.accounts import ACCOUNT_COLUMNS, Account, account_of

_CREDENTIALS = (
    f"SELECT {ACCOUNT_COLUMNS}, password_hash FROM accounts JOIN credentials USING (user_id) WHERE "  # noqa: S608
)


class Credentials(NamedTuple):
    """See ``gateway.ports.CredentialsRecord``."""

    account: Account
    password_hash: str


class PostgresCredentials:
    """See ``gateway.ports.CredentialStore``. The rules are in ``sql/0004_sign_in.sql``."""

    def __init__(self, database: AccountDatabase) -> None:
        self._database = database

    async def sign_up(
        self,
        user_id: str,
        username: str,
        password_hash: str,
        birth_date: datetime.date,
        invite_hash: bytes,
        *,
        from_guest: bool,
    ) -> None:
        await self._database.change(
            "SELECT sign_up($1, $2, $3, $4, $5, $6) AS outcome",
            user_id,
            username,
            password_hash,
            birth_date,
            invite_hash,
            from_guest,
        )

    async def has_uses_left(self, invite_hash: bytes) -> bool:
        row = await self._database.row(
            "SELECT 1 FROM invite_codes WHERE code_hash = $1 AND uses < uses_max AND revoked_at IS NULL"
            " AND (expires_at IS NULL OR expires_at > clock_timestamp())",
            invite_hash,
        )
        return row is not None

    async def credentials(self, username: str) -> Credentials | None:
        return self._read(
            await self._database.row(f'{_CREDENTIALS} lower(username) = lower($1 COLLATE "C")', username)
        )

    async def credentials_of(self, user_id: str) -> Credentials | None:
        return self._read(await self._database.row(f"{_CREDENTIALS} user_id = $1", user_id))

    async def change_password(self, user_id: str, old_password_hash: str, password_hash: str) -> None:
        await self._database.change(
            "SELECT change_password($1, $2, $3) AS outcome", user_id, old_password_hash, password_hash
        )

    @staticmethod
    def _read(row: asyncpg.Record | None) -> Credentials | None:
        return Credentials(account_of(row), row["password_hash"]) if row else None
