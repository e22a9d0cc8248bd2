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
INSERT INTO relay_places AS p (relay, epoch, transaction_id, position, system_identifier)
VALUES ($1, 1, '0', 0, (SELECT system_identifier::text FROM pg_control_system()))
ON CONFLICT (relay) DO UPDATE SET
    epoch = p.epoch + 1, system_identifier = coalesce(p.system_identifier, excluded.system_identifier)
RETURNING epoch, transaction_id::text::bigint, position
"""

_RESUME = """
SELECT epoch, transaction_id::text::bigint, position FROM relay_places WHERE relay = $1 AND epoch = $2
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

# What is behind a place, whether it can be read yet or not.
_FIRST_BEHIND = """
SELECT recorded_ms FROM journal WHERE (transaction_id, position) > ($1::text::xid8, $2)
ORDER BY journal.transaction_id, journal.position LIMIT 1
"""

_ADVANCE = """
UPDATE relay_places SET transaction_id = $3::text::xid8, position = $4, updated_at = now()
WHERE relay = $1 AND epoch = $2
"""

# The journal, or the place in it, is another server's: its dump was restored here, or a server without the
# latest commits has taken over. Transactions are numbered anew then, and turns would be skipped.
_IS_FOREIGN = """
SELECT EXISTS (SELECT 1 FROM journal WHERE transaction_id >= pg_snapshot_xmax(pg_current_snapshot()))
    OR EXISTS (SELECT 1 FROM relay_places WHERE relay = $1 AND (
        transaction_id >= pg_snapshot_xmax(pg_current_snapshot())
        OR system_identifier <> (SELECT system_identifier::text FROM pg_control_system())))
"""

_STORED_PLACE = "SELECT transaction_id::text, position FROM relay_places WHERE relay = $1"

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
        await self._refuse_foreign()
        row = await self._connections.retried(lambda connection: connection.fetchrow(_CLAIM, self._relay))
        assert row is not None
        return Claim(row[0], Place(row[1], row[2]))

    async def resume(self, epoch: int) -> Claim:
        await self._refuse_foreign()
        row = await self._connections.retried(
            lambda connection: connection.fetchrow(_RESUME, self._relay, epoch)
        )
        if row is None:
            raise Superseded(f"relay {self._relay!r}, epoch {epoch}: a later one has claimed the journal")
        return Claim(row[0], Place(row[1], row[2]))

    async def waiting_since_ms(self) -> int | None:
        """When the first turn was recorded that stands behind the stored place; None when none does."""
        row = await self._connections.retried(
            lambda connection: connection.fetchrow(_STORED_PLACE, self._relay)
        )
        return await self._first_behind(*(row or ("0", 0)))

    async def _refuse_foreign(self) -> None:
        if await self._connections.retried(lambda connection: connection.fetchval(_IS_FOREIGN, self._relay)):
            raise JournalError(
                "the journal has transactions of another Postgres, as after restoring a dump, and cannot be "
                "read in the order of its commits: see 'Backups, and restoring' in docs/operations.md"
            )

    async def _first_behind(self, transaction: str, position: int) -> int | None:
        since_ms: int | None = await self._connections.retried(
            lambda connection: connection.fetchval(_FIRST_BEHIND, transaction, position)
        )
        return since_ms

    async def read(self, after: Place, turns_max: int) -> Page:
        rows = await self._connections.retried(
            lambda connection: connection.fetch(READ, str(after.transaction), after.position, turns_max)
        )
        if not rows:
            return Page([], after, await self._first_behind(str(after.transaction), after.position))
        return Page([StoredTurn(*row[2:]) for row in rows], Place(rows[-1][0], rows[-1][1]))

    async def advance(self, epoch: int, place: Place) -> None:
        done = await self._connections.retried(
            lambda connection: connection.execute(
                _ADVANCE, self._relay, epoch, str(place.transaction), place.position
            )
        )
        if done != "UPDATE 1":
            raise Superseded(f"relay {self._relay!r}, epoch {epoch}: a later one has claimed the journal")
