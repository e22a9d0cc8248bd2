"""Reads whole journals for operators: replay from the first turn, whatever snapshots say."""

from __future__ import annotations

from typing import Any

from persistence.postgres.connections import Connections
from runtime.identity import ActorId
from runtime.journal import SnapshotRecord, StoredTurn
from runtime.replay import Replay

_PAGE_TURNS = 1000


class Archive:
    def __init__(self, dsn: str, *, timeout_s: float = 30.0) -> None:
        self._connections = Connections(dsn, connections_max=1, timeout_s=timeout_s, name="casino-archive")

    async def close(self) -> None:
        await self._connections.close()

    async def snapshot(self, actor: ActorId) -> SnapshotRecord | None:
        """The latest snapshot of an actor, if it has one."""
        rows = await self._connections.retried(
            lambda connection: connection.fetch(
                "SELECT actor, seq, push_seq, schema_version, state, replies FROM snapshots WHERE actor = $1",
                actor,
            )
        )
        return SnapshotRecord(*rows[0]) if rows else None

    async def feed(self, actor: ActorId, replay: Replay[Any]) -> None:
        """Replay every turn that is newer than what was replayed before."""
        while True:
            rows = await self._connections.retried(
                lambda connection: connection.fetch(
                    "SELECT actor, seq, command_id, fingerprint, recorded_ms, push_seq, incarnation, body"
                    " FROM journal WHERE actor = $1 AND seq > $2 ORDER BY actor, seq LIMIT $3",
                    actor,
                    replay.seq,
                    _PAGE_TURNS,
                )
            )
            replay.feed(StoredTurn(*row) for row in rows)
            if len(rows) < _PAGE_TURNS:
                return
