"""``runtime.journal.Membership`` on Postgres. Every time in it is the database's; the rules of
fencing and of assigning shards are in ``sql/``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import asyncpg

from persistence.postgres.connections import Connections
from runtime.identity import ShardId
from runtime.journal import Desired, HostRecord, Incarnation, ShardMap


def _shard_map(rows: Sequence[asyncpg.Record]) -> ShardMap:
    owned = [row for row in rows if row["shard"] is not None]
    return ShardMap(
        rows[0]["epoch"],
        {ShardId(row["shard"]): row["incarnation"] for row in owned},
        {row["incarnation"]: row["address"] for row in owned},
    )


class PostgresMembership:
    """The cluster's memory. Each call is one statement, repeated while the database is unreachable;
    ``DatabaseUnavailable`` (a ``JournalError``) when it stays so."""

    def __init__(
        self,
        dsn: str,
        *,
        timeout_s: float = 10.0,
        attempt_timeout_s: float = 1.0,
        connections_max: int = 2,
        name: str = "casino-membership",
    ) -> None:
        """``timeout_s`` should exceed the journal's ``commit_timeout_s``: fencing waits for commits. An
        attempt should be short beside a lease: a dead connection must not cost a host its own."""
        self._connections = Connections(
            dsn,
            connections_max=connections_max,
            timeout_s=timeout_s,
            attempt_timeout_s=attempt_timeout_s,
            name=name,
        )

    async def close(self) -> None:
        await self._connections.close()

    async def register(self, name: str, address: str, lease_s: float) -> Incarnation:
        # Repeated after a lost answer it leaves a life that nobody lives; its lease runs out.
        rows = await self._fetch(
            "INSERT INTO incarnations (host, address, lease_until)"
            " VALUES ($1, $2, clock_timestamp() + make_interval(secs => $3)) RETURNING id",
            name,
            address,
            lease_s,
        )
        return int(rows[0]["id"])

    async def renew(self, incarnation: Incarnation, lease_s: float) -> bool:
        rows = await self._fetch(
            "UPDATE incarnations SET lease_until = clock_timestamp() + make_interval(secs => $2)"
            " WHERE id = $1 AND fenced_at IS NULL RETURNING id",
            incarnation,
            lease_s,
        )
        return bool(rows)

    async def fence(self, incarnation: Incarnation) -> None:
        await self._fetch("SELECT fence_incarnation($1)", incarnation)

    async def hosts(self) -> list[HostRecord]:
        rows = await self._fetch(
            "SELECT id, host, address,"
            " extract(epoch FROM lease_until - clock_timestamp())::float8, fenced_at IS NOT NULL"
            " FROM incarnations"
            " WHERE fenced_at IS NULL OR id IN (SELECT incarnation FROM shards) ORDER BY id"
        )
        return [HostRecord(*row) for row in rows]

    async def shard_map(self) -> ShardMap:
        return _shard_map(await self._fetch("SELECT * FROM shard_map"))

    async def assign(
        self, expected_epoch: int, owners: Mapping[ShardId, Incarnation | None]
    ) -> ShardMap | None:
        # Repeated after a lost answer it finds the epoch moved, by itself: the caller reads again.
        rows = await self._fetch(
            "SELECT * FROM assign_shards($1, $2::text[], $3::bigint[])",
            expected_epoch,
            list(owners),
            list(owners.values()),
        )
        return _shard_map(rows) if rows else None

    async def desired(self) -> Desired:
        rows = await self._fetch("SELECT desired_session_hosts, desired_gateways FROM cluster")
        return Desired(*rows[0])

    async def set_desired(self, desired: Desired) -> None:
        await self._fetch(
            "UPDATE cluster SET desired_session_hosts = $1, desired_gateways = $2",
            desired.session_hosts,
            desired.gateways,
        )

    async def _fetch(self, query: str, *arguments: object) -> list[asyncpg.Record]:
        return await self._connections.retried(lambda connection: connection.fetch(query, *arguments))
