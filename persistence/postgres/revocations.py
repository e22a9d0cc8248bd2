"""Which access tokens are void, for gateways to follow."""

from __future__ import annotations

import datetime
from typing import NamedTuple

from persistence.postgres.account_database import AccountDatabase


class Revocation(NamedTuple):
    """See ``gateway.ports.RevocationRecord``."""

    id: int
    user_id: str
    not_before: datetime.datetime
    because: str


class PostgresRevocations:
    """See ``gateway.ports.RevocationFeed``. Written by ``void_access_tokens`` in ``sql/``."""

    def __init__(self, database: AccountDatabase) -> None:
        self._database = database

    async def after(self, last_id: int, age_max_s: float, limit: int) -> list[Revocation]:
        rows = await self._database.rows(
            "SELECT id, user_id, not_before, because FROM revocations"
            " WHERE id > $1 AND created_at > clock_timestamp() - make_interval(secs => $2)"
            " ORDER BY id LIMIT $3",
            last_id,
            age_max_s,
            limit,
        )
        return [Revocation(*row) for row in rows]
