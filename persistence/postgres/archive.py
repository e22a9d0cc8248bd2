"""Reads journals for operators: whole ones for replay, whatever snapshots say, and parts for proofs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

from persistence.postgres.connections import Connections
from runtime.identity import ActorId
from runtime.journal import SnapshotRecord, StoredTurn
from runtime.replay import Replay

_PAGE_TURNS = 1000
_TURN = "actor, seq, command_id, fingerprint, recorded_ms, push_seq, incarnation, body"


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
            page = await self._page(actor, replay.seq + 1, 2**62)
            replay.feed(page)
            if len(page) < _PAGE_TURNS:
                return

    async def turns(self, actor: ActorId, command_ids: Sequence[str]) -> list[StoredTurn | None]:
        """The turns that these commands caused, in the order asked for; None where there was none."""
        rows = await self._connections.retried(
            lambda connection: connection.fetch(
                f"SELECT {_TURN} FROM journal WHERE actor = $1 AND command_id = ANY ($2)",  # noqa: S608
                actor,
                command_ids,
            )
        )
        found = {row["command_id"]: StoredTurn(*row) for row in rows}
        return [found.get(command_id) for command_id in command_ids]

    async def between(self, actor: ActorId, first_seq: int, last_seq: int) -> AsyncIterator[StoredTurn]:
        """The turns of an actor from ``first_seq`` to ``last_seq``, both included."""
        while first_seq <= last_seq:
            page = await self._page(actor, first_seq, last_seq)
            for turn in page:
                yield turn
            if len(page) < _PAGE_TURNS:
                return
            first_seq = page[-1].seq + 1

    async def _page(self, actor: ActorId, first_seq: int, last_seq: int) -> list[StoredTurn]:
        rows = await self._connections.retried(
            lambda connection: connection.fetch(
                f"SELECT {_TURN} FROM journal"  # noqa: S608
                " WHERE actor = $1 AND seq BETWEEN $2 AND $3 ORDER BY actor, seq LIMIT $4",
                actor,
                first_seq,
                last_seq,
                _PAGE_TURNS,
            )
        )
        return [StoredTurn(*row) for row in rows]

    async def moved(self, account: str) -> tuple[int, int]:
        """Gold that the ledger ever moved into an account, and out of it."""
        rows = await self._connections.retried(
            lambda connection: connection.fetch(
                "SELECT coalesce(sum(amount) FILTER (WHERE credit = $1), 0)::bigint AS moved_in,"
                " coalesce(sum(amount) FILTER (WHERE debit = $1), 0)::bigint AS moved_out"
                " FROM ledger WHERE credit = $1 OR debit = $1",
                account,
            )
        )
        return rows[0]["moved_in"], rows[0]["moved_out"]
