"""Which access tokens are void, for gateways to follow."""

from __future__ import annotations

import datetime
from typing import NamedTuple

from persistence.postgres.account_database import AccountDatabase

# Not clock_timestamp(), for which no index is used. OFFSET 0 keeps the planner from walking the primary
# key from its oldest row on.
POSITION = """
SELECT coalesce(
    (SELECT min(id) - 1 FROM (
        SELECT id FROM revocations
        WHERE created_at > now() - make_interval(secs => $1) OFFSET 0
    ) AS recent),
    (SELECT max(id) FROM revocations),
    0
) AS position
"""


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

    async def position(self, age_max_s: float) -> int:
        row = await self._database.row(POSITION, age_max_s)
        assert row is not None
        position: int = row["position"]
        return position

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

    async def forget(self, age_s: float, limit: int) -> int:
        # Several gateways at once take different rows, and wait for nobody.
        row = await self._database.row(
            "WITH gone AS (DELETE FROM revocations WHERE id IN ("
            " SELECT id FROM revocations"
            " WHERE created_at < now() - make_interval(secs => $1)"
            " ORDER BY created_at LIMIT $2 FOR UPDATE SKIP LOCKED"
            ") RETURNING 1) SELECT count(*) AS gone FROM gone",
            age_s,
            limit,
        )
        assert row is not None
        gone: int = row["gone"]
        return gone
