"""``runtime.journal.Journal`` on Postgres: one statement a commit, few statements a recovery.

Translates between records and rows, and between what Postgres says and the journal's errors. The
rules themselves (fencing, floors of balances, uniqueness) are the database's, in ``sql/``.
"""

from __future__ import annotations

from collections.abc import Sequence

import asyncpg

from persistence.postgres.commit_arguments import commit_arguments
from persistence.postgres.connections import Connections
from runtime.errors import CommitRefused, CommitUnknown, DuplicateTurn, Fenced, JournalError
from runtime.identity import ActorId
from runtime.journal import (
    CommitBatch,
    OutboxRecord,
    Recovered,
    ReminderKey,
    ReminderRecord,
    SnapshotRecord,
    StoredTurn,
)

FENCED = "ZF001"
_COMMIT = f"SELECT commit_turns({', '.join(f'${number + 1}' for number in range(39))})"
_TURN = "j.actor, j.seq, j.command_id, j.fingerprint, j.recorded_ms, j.push_seq, j.incarnation, j.body"
_LOAD_ACTORS_PER_QUERY = 2000
_HISTORY_FIRST_PAGE_TURNS = 32
_SEQ_MAX = 2**63 - 1


# One plan for ever, whatever the statistics say: read the array, look each row up by its key. It is
# the right one for every size of table, and it keeps the order in which rows are locked. Set for the
# session: as settings of the function they would be changed and restored at each call.
_COMMIT_PLANS = {
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
}


def _commit_error(error: Exception) -> JournalError:
    """What an error that came out of ``commit_turns`` means to a host."""
    if isinstance(error, asyncpg.PostgresError):
        state = error.sqlstate or ""
        if state == FENCED:
            return Fenced(str(error))
        detail = f"{error}: {getattr(error, 'detail', None) or ''}"
        if state == "23505" and str(getattr(error, "constraint_name", "")).startswith("journal_"):
            return DuplicateTurn(detail)
        # 21, 22, 23: the data breaks a rule. 54: a value is larger than the server takes.
        if state[:2] in ("21", "22", "23", "54"):
            return CommitRefused(detail)
    elif isinstance(error, asyncpg.InterfaceError) and isinstance(error, ValueError):
        return CommitRefused(f"a value cannot be stored: {error}")
    return CommitUnknown(f"{type(error).__name__}: {error}")


class PostgresJournal:
    """A host's access to the truth. Commits have a connection of their own, so that a large read
    does not delay them."""

    def __init__(
        self,
        dsn: str,
        *,
        commit_timeout_s: float = 5.0,
        read_timeout_s: float = 10.0,
        read_connections_max: int = 2,
        name: str = "casino-journal",
    ) -> None:
        """``commit_timeout_s`` bounds a commit with everything it waits for; past it the outcome is
        ``CommitUnknown``. ``name`` is shown in ``pg_stat_activity``."""
        self._writer = Connections(
            dsn, connections_max=1, timeout_s=commit_timeout_s, name=name, settings=_COMMIT_PLANS
        )
        self._reader = Connections(
            dsn,
            connections_max=read_connections_max,
            timeout_s=read_timeout_s,
            attempt_timeout_s=read_timeout_s / 2,
            name=name,
        )

    async def close(self) -> None:
        await self._writer.close()
        await self._reader.close()

    async def commit(self, batch: CommitBatch) -> None:
        arguments = commit_arguments(batch)

        try:
            await self._writer.once(lambda connection: connection.execute(_COMMIT, *arguments))
        except Exception as error:
            raise _commit_error(error) from error

    async def find(self, commands: Sequence[tuple[ActorId, str]]) -> list[StoredTurn]:
        rows = await self._fetch(
            # LATERAL, here and below, so that rows are looked up one by one along the index, whatever
            # the planner believes about the size of the table.
            f"SELECT {_TURN} FROM unnest($1::text[], $2::text[]) AS wanted (actor, command_id),"  # noqa: S608
            " LATERAL (SELECT * FROM journal t WHERE t.actor = wanted.actor"
            " AND t.command_id = wanted.command_id LIMIT 1) j",
            [actor for actor, _ in commands],
            [command_id for _, command_id in commands],
        )
        return [StoredTurn(*row) for row in rows]

    async def load(self, actors: Sequence[ActorId]) -> list[Recovered]:
        recovered: list[Recovered] = []
        for start in range(0, len(actors), _LOAD_ACTORS_PER_QUERY):
            recovered += await self._load(actors[start : start + _LOAD_ACTORS_PER_QUERY])
        return recovered

    async def _load(self, actors: Sequence[ActorId]) -> list[Recovered]:
        rows = await self._fetch(
            "SELECT actor, seq, push_seq, schema_version, state, replies FROM snapshots"
            " WHERE actor = ANY ($1::text[])",
            actors,
        )
        snapshots = {row["actor"]: SnapshotRecord(*row) for row in rows}
        tails: dict[ActorId, list[StoredTurn]] = {actor: [] for actor in actors}
        rows = await self._fetch(
            f"SELECT {_TURN} FROM unnest($1::text[], $2::bigint[]) AS wanted (actor, after),"  # noqa: S608
            " LATERAL (SELECT * FROM journal t WHERE t.actor = wanted.actor AND t.seq > wanted.after"
            " ORDER BY t.actor, t.seq) j",
            list(tails),
            [snapshots[actor].seq if actor in snapshots else 0 for actor in tails],
        )
        for row in rows:
            turn = StoredTurn(*row)
            tails[turn.actor].append(turn)
        return [Recovered(actor, snapshots.get(actor), tails[actor]) for actor in actors]

    async def history(self, actor: ActorId, after_push_seq: int, turns_max: int) -> list[StoredTurn] | None:
        pushing: dict[int, StoredTurn] = {}
        before, page_turns = _SEQ_MAX, _HISTORY_FIRST_PAGE_TURNS
        # Backwards, in growing pages: most resumes miss little of a long history. The first turn
        # that reached a push seq is the one that pushed; later ones with the same pushed nothing.
        while True:
            rows = await self._fetch(
                f"SELECT {_TURN} FROM journal j WHERE j.actor = $1 AND j.seq < $2"  # noqa: S608
                " ORDER BY j.actor DESC, j.seq DESC LIMIT $3",
                actor,
                before,
                page_turns,
            )
            for row in rows:
                turn = StoredTurn(*row)
                if turn.push_seq <= after_push_seq:
                    return self._in_order(pushing, turns_max)
                pushing[turn.push_seq] = turn
                before = turn.seq
            if len(pushing) > turns_max:
                return None
            if len(rows) < page_turns:
                break
            page_turns = min(2 * page_turns, turns_max + 2)
        # All rows that are kept are newer than what was asked for. Older ones may have been pruned.
        if before == 1 or (not pushing and await self._snapshot_push_seq(actor) <= after_push_seq):
            return self._in_order(pushing, turns_max)
        return None

    @staticmethod
    def _in_order(pushing: dict[int, StoredTurn], turns_max: int) -> list[StoredTurn] | None:
        return [pushing[number] for number in sorted(pushing)] if len(pushing) <= turns_max else None

    async def _snapshot_push_seq(self, actor: ActorId) -> int:
        rows = await self._fetch("SELECT push_seq FROM snapshots WHERE actor = $1", actor)
        return int(rows[0]["push_seq"]) if rows else 0

    async def unacknowledged(self, after: str, limit: int) -> list[OutboxRecord]:
        rows = await self._fetch(
            "SELECT command_id, sender, recipient, name, data, then_command FROM outbox"
            " WHERE refusal IS NULL AND command_id > $1 ORDER BY command_id LIMIT $2",
            after,
            limit,
        )
        return [OutboxRecord(*row) for row in rows]

    async def reminders_due(self, before_ms: int, after: ReminderKey, limit: int) -> list[ReminderRecord]:
        rows = await self._fetch(
            "SELECT actor, name, due_ms, command, data, seq FROM reminders"
            " WHERE due_ms <= $1 AND (due_ms, actor, name) > ($2, $3, $4)"
            " ORDER BY due_ms, actor, name LIMIT $5",
            before_ms,
            *after,
            limit,
        )
        return [ReminderRecord(*row) for row in rows]

    async def _fetch(self, query: str, *arguments: object) -> list[asyncpg.Record]:
        return await self._reader.retried(lambda connection: connection.fetch(query, *arguments))
