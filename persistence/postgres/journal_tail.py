"""``runtime.relay.JournalTail`` on Postgres.

Positions are taken before their commit, so a lower one can become visible later. Transactions are
numbered, too, and of those older than the oldest one still running none is still to come: the journal is
read up to there, by (transaction, position).
"""

from __future__ import annotations

from persistence.postgres.connections import Connections
from runtime.errors import JournalError
from runtime.journal import StoredTurn
from runtime.relay import Claim, Page, Place, Superseded

_CLAIM = """
INSERT INTO relay_places AS p (relay, epoch, transaction_id, position) VALUES ($1, 1, '0', 0)
ON CONFLICT (relay) DO UPDATE SET epoch = p.epoch + 1
RETURNING epoch, transaction_id::text::bigint, position
"""

# The order is by the table's columns, which the index has, and not by what they are selected as.
READ = """
SELECT transaction_id::text::bigint, position,
    actor, seq, command_id, fingerprint, recorded_ms, push_seq, incarnation, body
FROM journal
WHERE (transaction_id, position) > ($1::text::xid8, $2)
    AND transaction_id < pg_snapshot_xmin(pg_current_snapshot())
ORDER BY journal.transaction_id, journal.position
LIMIT $3
"""

_ADVANCE = """
UPDATE relay_places SET transaction_id = $3::text::xid8, position = $4, updated_at = now()
WHERE relay = $1 AND epoch = $2
"""

# A row of a transaction that this server has not begun yet: a dump of another one was restored here.
_IS_FOREIGN = """
SELECT EXISTS (SELECT 1 FROM journal WHERE transaction_id >= pg_snapshot_xmax(pg_current_snapshot()))
"""

_HELD_UP_S = """
SELECT coalesce(extract(epoch FROM clock_timestamp() - min(xact_start)), 0)::float8
FROM pg_stat_activity WHERE backend_xid IS NOT NULL AND pid <> pg_backend_pid()
"""

# Of a relay that has never claimed the journal, everything waits.
_WAITING_SINCE = """
SELECT min(recorded_ms) FROM journal
WHERE (transaction_id, position) > (
    coalesce((SELECT transaction_id FROM relay_places WHERE relay = $1), '0'),
    coalesce((SELECT position FROM relay_places WHERE relay = $1), 0)
)
"""

PLANS = {"plan_cache_mode": "force_generic_plan", "enable_seqscan": "off", "enable_sort": "off"}
"""Along the index, whatever the statistics say."""


class PostgresJournalTail:
    """The journal as one relay sees it."""

    def __init__(self, dsn: str, relay: str = "events", *, timeout_s: float = 10.0) -> None:
        self._relay = relay
        # Two: the next page is read while a place is stored.
        self._connections = Connections(
            dsn, connections_max=2, timeout_s=timeout_s, name="casino-relay", settings=PLANS
        )

    async def close(self) -> None:
        await self._connections.close()

    async def claim(self) -> Claim:
        if await self._connections.retried(lambda connection: connection.fetchval(_IS_FOREIGN)):
            raise JournalError(
                "the journal has transactions of another Postgres, as after restoring a dump, and cannot be "
                "read in the order of its commits: see 'Backups, and restoring' in docs/operations.md"
            )
        row = await self._connections.retried(lambda connection: connection.fetchrow(_CLAIM, self._relay))
        assert row is not None
        return Claim(row[0], Place(row[1], row[2]))

    async def held_up_s(self) -> float:
        """Age of the oldest transaction that has written something and is still running, in seconds: what
        was committed since it began is not read before it ends."""
        seconds: float = await self._connections.retried(lambda connection: connection.fetchval(_HELD_UP_S))
        return seconds

    async def waiting_since_ms(self) -> int | None:
        """When the earliest turn was recorded that stands behind the stored place; None when none does.
        Looks at all of them."""
        since_ms: int | None = await self._connections.retried(
            lambda connection: connection.fetchval(_WAITING_SINCE, self._relay)
        )
        return since_ms

    async def read(self, after: Place, turns_max: int) -> Page:
        rows = await self._connections.retried(
            lambda connection: connection.fetch(READ, str(after.transaction), after.position, turns_max)
        )
        if not rows:
            return Page([], after)
        return Page([StoredTurn(*row[2:]) for row in rows], Place(rows[-1][0], rows[-1][1]))

    async def advance(self, epoch: int, place: Place) -> None:
        done = await self._connections.retried(
            lambda connection: connection.execute(
                _ADVANCE, self._relay, epoch, str(place.transaction), place.position
            )
        )
        if done != "UPDATE 1":
            raise Superseded(f"relay {self._relay!r}, epoch {epoch}: a later one has claimed the journal")
