"""Counts the stored events by time, for whoever compares them with the journal."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import NamedTuple

from clickhouse_connect.driver.client import Client

from persistence.clickhouse.client import ClickHouse, StoreUnavailable
from persistence.clickhouse.schema import TABLE, TS_MS_MAX

_BETWEEN = """
ts >= fromUnixTimestamp64Milli({since:Int64}, 'UTC') AND ts < fromUnixTimestamp64Milli({until:Int64}, 'UTC')
"""

_TALLIES = f"""
SELECT intDiv(toUnixTimestamp64Milli(ts), {{width:Int64}}) * {{width:Int64}} AS span, count(),
    sum(65536 * toInt128(seq) + `index`)
FROM {TABLE} FINAL WHERE {_BETWEEN} GROUP BY span
"""  # noqa: S608

_ROWS = f"""
SELECT intDiv(toUnixTimestamp64Milli(ts), {{width:Int64}}) * {{width:Int64}} AS span, count()
FROM {TABLE} WHERE {_BETWEEN} GROUP BY span
"""  # noqa: S608

_TURNS = f"""
SELECT actor, seq, groupArray(`index`) FROM {TABLE} FINAL
WHERE {_BETWEEN} AND (actor, seq) > ({{actor:String}}, {{seq:Int64}})
GROUP BY actor, seq ORDER BY actor, seq LIMIT {{turns_max:UInt32}}
"""  # noqa: S608

_EARLIEST = f"SELECT count(), toUnixTimestamp64Milli(min(ts)) FROM {TABLE}"  # noqa: S608

_OPTIMIZE_TIMEOUT_S = 600.0


class StoredTally(NamedTuple):
    """``rows`` are more than ``events`` when some are there twice. ``checksum``: the sum of
    ``65536 * seq + index``."""

    rows: int
    events: int
    checksum: int


class EventCounts:
    """All times are in ms since 1970; of two, the second is behind the range."""

    def __init__(self, clickhouse: ClickHouse, *, timeout_s: float = 300.0) -> None:
        self._clickhouse = clickhouse
        self._timeout_s = timeout_s

    async def earliest_ms(self) -> int | None:
        """Time of the first event; None when there is none. Raises :class:`StoreUnavailable`."""
        rows, first = await self._clickhouse.call(lambda client: client.query(_EARLIEST).result_rows[0])
        return first if rows else None

    async def compared_until_ms(self) -> int:
        """Until when the events are known to be those of the journal; 0: nothing is known. Raises
        :class:`StoreUnavailable`."""
        until_ms: int = await self._clickhouse.call(
            lambda client: client.query("SELECT max(until_ms) FROM comparisons").result_rows[0][0]
        )
        return until_ms

    async def compared(self, until_ms: int) -> None:
        """They are, until then. Raises :class:`StoreUnavailable`."""
        await self._clickhouse.call(
            lambda client: client.command(
                "INSERT INTO comparisons (until_ms) VALUES", data=f"({int(until_ms)})"
            )
        )

    async def tallies(self, since_ms: int, until_ms: int, width_ms: int) -> dict[int, StoredTally]:
        """By the beginning of each span of ``width_ms`` that has any event.

        Raises :class:`StoreUnavailable`.
        """
        parameters = {"since": since_ms, "until": min(until_ms, TS_MS_MAX), "width": width_ms}

        def ask(client: Client) -> dict[int, StoredTally]:
            # Rows first: what arrives in between is no duplicate.
            rows = {row[0]: row[1] for row in client.query(_ROWS, parameters=parameters).result_rows}
            return {
                span: StoredTally(max(events, rows.get(span, 0)), events, checksum)
                for span, events, checksum in client.query(_TALLIES, parameters=parameters).result_rows
            }

        return await self._clickhouse.call(ask, self._timeout_s)

    async def turns(
        self, since_ms: int, until_ms: int, turns_max: int, after: tuple[str, int]
    ) -> list[tuple[str, int, list[int]]]:
        """``(actor, seq, indexes of the events)`` in the order of the bytes of the actor, then of seq,
        beginning behind ``after``. Raises :class:`StoreUnavailable`."""
        parameters = {
            "since": since_ms,
            "until": min(until_ms, TS_MS_MAX),
            "actor": after[0],
            "seq": after[1],
            "turns_max": turns_max,
        }
        return await self._clickhouse.call(
            lambda client: [
                (actor, seq, indexes)
                for actor, seq, indexes in client.query(_TURNS, parameters=parameters).result_rows
            ],
            self._timeout_s,
        )

    async def merge_day(self, day_ms: int) -> bool:
        """Merge everything of a day, so that nothing of it is there twice. False when the store could not
        now; it will, in its own time."""
        day = datetime.fromtimestamp(day_ms / 1000, UTC).date().isoformat()
        try:
            await self._clickhouse.call(
                lambda client: client.command(f"OPTIMIZE TABLE {TABLE} PARTITION '{day}' FINAL"),
                _OPTIMIZE_TIMEOUT_S,
            )
        except StoreUnavailable:
            return False
        return True
