"""Counts the journal's events by time, and reads single turns, for whoever compares them with a copy."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import NamedTuple

import asyncpg

from persistence.postgres.connections import Connections
from runtime.errors import JournalError
from runtime.identity import ActorId
from runtime.journal import StoredTurn

_log = logging.getLogger(__name__)

_SUMMARIZE_LOCK_MS = 100
"""Less than after what Postgres cancels an autovacuum that others wait for."""


class Tally(NamedTuple):
    """How many events, and the sum of what each is known by, ``65536 * seq + index``: so that one that is
    missing and another that is too many do not look like none."""

    events: int
    checksum: int


NOTHING = Tally(0, 0)


class TurnKey(NamedTuple):
    """Ordered as text is by its bytes, in Postgres, ClickHouse and Python alike."""

    actor: ActorId
    seq: int


BEFORE_ALL = TurnKey(ActorId(""), -1)

# Every question is one about a time, answered along the index on it: never by reading everything.
_PLANS = {"enable_seqscan": "off", "max_parallel_workers_per_gather": "0"}

_EARLIEST = "SELECT recorded_ms FROM journal ORDER BY transaction_id, position LIMIT 1"
_EARLIER = "SELECT min(recorded_ms) FROM journal WHERE recorded_ms < $1"

_TALLIES = """
SELECT recorded_ms / $3 * $3, sum(events)::bigint, sum(65536 * seq * events + events * (events - 1) / 2)
FROM (SELECT recorded_ms, seq::numeric, count_events(body)::numeric AS events FROM journal
      WHERE recorded_ms >= $1 AND recorded_ms < $2 OFFSET 0) AS turns
WHERE events > 0
GROUP BY 1
"""

# The time first: an index that has the order would be followed through the whole journal.
_TURNS = """
WITH turns AS MATERIALIZED (
    SELECT actor COLLATE "C" AS actor, seq, count_events(body) AS events FROM journal
    WHERE recorded_ms >= $1 AND recorded_ms < $2
)
SELECT actor, seq, events FROM turns
WHERE events > 0 AND (actor, seq) > ($3 COLLATE "C", $4)
ORDER BY actor, seq LIMIT $5
"""

_READ = """
SELECT j.actor, j.seq, j.command_id, j.fingerprint, j.recorded_ms, j.push_seq, j.incarnation, j.body
FROM unnest($1::text[], $2::bigint[]) AS wanted (actor, seq)
JOIN journal j ON j.actor = wanted.actor AND j.seq = wanted.seq
"""


class JournalCounts:
    """All times are ``recorded_ms``; of two, the second is behind the range."""

    def __init__(self, dsn: str, *, timeout_s: float = 120.0) -> None:
        self._connections = Connections(
            dsn, connections_max=1, timeout_s=timeout_s, name="casino-reconciliation", settings=_PLANS
        )

    async def close(self) -> None:
        await self._connections.close()

    async def earliest_ms(self) -> int | None:
        """When the first turn was recorded; None of an empty journal."""
        await self._summarize()
        first: int | None = await self._connections.retried(lambda connection: connection.fetchval(_EARLIEST))
        if first is None:
            return None
        # The first to commit need not be the first that was recorded.
        earlier = await self._connections.retried(lambda connection: connection.fetchval(_EARLIER, first))
        return first if earlier is None else earlier

    async def _summarize(self) -> None:
        """What is not summarized yet would be read again by each of many questions. Does without, where
        that is not ours to do, or would make a vacuum give way."""

        async def summarize(connection: asyncpg.Connection[asyncpg.Record]) -> None:
            async with connection.transaction():
                await connection.execute(f"SET LOCAL lock_timeout = {_SUMMARIZE_LOCK_MS}")
                await connection.execute("SELECT brin_summarize_new_values('journal_recorded_ms')")

        try:
            await self._connections.retried(summarize)
        except (asyncpg.PostgresError, JournalError) as error:
            _log.info("journal not summarized", extra={"reason": str(error)})

    async def tallies(self, since_ms: int, until_ms: int, width_ms: int) -> dict[int, Tally]:
        """By the beginning of each span of ``width_ms`` that has any event."""
        rows = await self._connections.retried(
            lambda connection: connection.fetch(_TALLIES, since_ms, until_ms, width_ms)
        )
        return {row[0]: Tally(row[1], int(row[2])) for row in rows}

    async def turns(
        self, since_ms: int, until_ms: int, turns_max: int, after: TurnKey
    ) -> list[tuple[TurnKey, int]]:
        """Turns that have events, with how many, in the order of their keys, beginning behind ``after``."""
        rows = await self._connections.retried(
            lambda connection: connection.fetch(_TURNS, since_ms, until_ms, *after, turns_max)
        )
        return [(TurnKey(row[0], row[1]), row[2]) for row in rows]

    async def read(self, turns: Sequence[TurnKey]) -> list[StoredTurn]:
        """In any order."""
        actors, seqs = [turn.actor for turn in turns], [turn.seq for turn in turns]
        rows = await self._connections.retried(lambda connection: connection.fetch(_READ, actors, seqs))
        return [StoredTurn(*row) for row in rows]
