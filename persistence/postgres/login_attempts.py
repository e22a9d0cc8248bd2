"""Counts logins before they are tried. Authoritative: what Redis counts only spares this one work."""

from __future__ import annotations

from persistence.postgres.account_database import AccountDatabase


class PostgresLoginAttempts:
    """See ``gateway.ports.LoginAttempts``. Windows end by the database's clock."""

    def __init__(self, database: AccountDatabase) -> None:
        self._database = database

    async def count(self, key: bytes, attempts_max: int, window_s: float) -> float | None:
        row = await self._database.row(
            "SELECT count_login_attempt($1, $2, $3) AS wait_s", key, attempts_max, window_s
        )
        assert row is not None
        wait_s: float | None = row["wait_s"]
        return wait_s

    async def reset(self, key: bytes) -> None:
        await self._database.execute("DELETE FROM login_attempts WHERE key = $1", key)
