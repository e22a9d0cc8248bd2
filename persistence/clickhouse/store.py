"""``runtime.relay.EventPublisher`` on ClickHouse: turns become rows, many in one insert."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import NamedTuple

import msgspec
from clickhouse_connect.driver.client import Client

from persistence.clickhouse.client import ClickHouse, DataRefused, StoreUnavailable
from persistence.clickhouse.rows import COLUMNS, Unfit, rows_of
from persistence.clickhouse.schema import RETENTION_DAYS, TABLE, SchemaTooNew, ensure_schema
from runtime.clock import Clock
from runtime.envelope import TurnEvents
from runtime.relay import PublishFailed, PublishRefused

_RECENT_MS = 60_000
_REFUSALS_MAX = 16
"""One after the other, before any other turn was taken: then it is not the turns."""

# One look at the parts' own figures, one at the newest rows: neither depends on how much there is.
_PARTS = f"""
SELECT sum(rows), sum(bytes_on_disk), count() FROM system.parts
WHERE active AND database = currentDatabase() AND table = '{TABLE}'
"""  # noqa: S608
_LATEST = f"SELECT toUnixTimestamp64Milli(max(ts)) FROM {TABLE}"  # noqa: S608
_RECENT = f"SELECT count() FROM {TABLE} WHERE ts >= fromUnixTimestamp64Milli({{since_ms:Int64}})"  # noqa: S608


class StoreSettings(msgspec.Struct, frozen=True):
    rows_per_insert_max: int = 50_000
    bytes_per_insert_max: int = 32 * 2**20
    """Of rows; a turn larger than that goes alone."""
    rows_without_delay: int = 1000
    """An insert of fewer keeps ``insert_interval_s`` to the one before. Each makes a file, which is merged
    with others later: at four of them a second an idle casino would work more for its history than for
    its players."""
    insert_interval_s: float = 0.5
    retention_days: int = RETENTION_DAYS


class StoreHealth(NamedTuple):
    """For an operator. Of rows as they lie there: what came twice counts twice until it is merged."""

    rows: int
    rows_last_minute: int
    latest_ms: int | None
    """Time of the latest event, in ms since 1970; None when there is none."""
    bytes_on_disk: int
    parts: int


class StoreStatistics(msgspec.Struct):
    """Totals since the process started."""

    rows: int = 0
    inserts: int = 0
    insert_errors: int = 0


class ClickHouseStore:
    def __init__(self, clickhouse: ClickHouse, clock: Clock, settings: StoreSettings | None = None) -> None:
        self._clickhouse = clickhouse
        self._clock = clock
        self._settings = settings or StoreSettings()
        self._has_schema = False
        self._inserting = asyncio.Lock()
        self._last_insert = float("-inf")
        self.statistics = StoreStatistics()

    async def publish(self, turns: Sequence[TurnEvents]) -> None:
        """Durable when it returns. As :class:`runtime.relay.EventPublisher` has it; one call at a time is
        under way, others wait."""
        async with self._inserting:
            batch: list[TurnEvents] = []
            rows: list[bytes] = []
            size = 0
            for number, turn in enumerate(turns):
                if number % 100 == 0:
                    await asyncio.sleep(0)
                try:
                    added = rows_of(turn)
                except Unfit as error:
                    raise PublishRefused(turn.actor, turn.seq, str(error)) from error
                added_size = sum(map(len, added))
                if rows and (
                    len(rows) + len(added) > self._settings.rows_per_insert_max
                    or size + added_size > self._settings.bytes_per_insert_max
                ):
                    await self._insert(batch, rows)
                    batch, rows, size = [], [], 0
                batch.append(turn)
                rows += added
                size += added_size
            if rows:
                await self._insert(batch, rows)

    async def close(self) -> None:
        await self._clickhouse.close()

    async def prepare(self) -> None:
        """Make the tables. Done by the first insert otherwise.

        Raises:
            PublishFailed: try again.
        """
        if not self._has_schema:
            try:
                await self._clickhouse.call(
                    lambda client: ensure_schema(client, self._settings.retention_days)
                )
            except (StoreUnavailable, DataRefused, SchemaTooNew) as error:
                raise PublishFailed(str(error)) from error
            self._has_schema = True

    async def health(self) -> StoreHealth:
        """Raises :class:`StoreUnavailable`."""
        since_ms = self._clock.now_ms() - _RECENT_MS

        def ask(client: Client) -> StoreHealth:
            rows, size, parts = client.query(_PARTS).result_rows[0]
            recent = client.query(_RECENT, parameters={"since_ms": since_ms}).result_rows[0][0]
            latest = client.query(_LATEST).result_rows[0][0] if rows else None
            return StoreHealth(rows, recent, latest, size, parts)

        return await self._clickhouse.call(ask)

    async def _insert(self, turns: list[TurnEvents], rows: list[bytes]) -> None:
        await self.prepare()
        if len(rows) < self._settings.rows_without_delay:
            passed = self._clock.monotonic() - self._last_insert
            await asyncio.sleep(
                min(max(0.0, self._settings.insert_interval_s - passed), self._settings.insert_interval_s)
            )
        try:
            await self._insert_now(rows)
        except StoreUnavailable as error:
            self._has_schema = False
            self.statistics.insert_errors += 1
            raise PublishFailed(str(error)) from error
        except DataRefused as error:
            self.statistics.insert_errors += 1
            await self._find_refused(turns, error)
        finally:
            self._last_insert = self._clock.monotonic()
        self.statistics.inserts += 1
        self.statistics.rows += len(rows)

    async def _insert_now(self, rows: list[bytes]) -> None:
        block = b"".join(rows)
        await self._clickhouse.call(lambda client: client.raw_insert(TABLE, COLUMNS, block, fmt="RowBinary"))

    async def _find_refused(self, turns: list[TurnEvents], error: DataRefused) -> None:
        """Find the turn that the batch was refused for, inserting the others on the way.

        Raises:
            PublishRefused: with the first such turn; or nothing, when it was refused as a whole only.
            PublishFailed: none of several is taken, so it is not the turns that are wrong.
        """
        refusals: list[tuple[TurnEvents, DataRefused]] = []
        taken = await self._sift(turns, error, refusals)
        if not refusals:
            return
        if not taken and len(turns) > 1:
            raise PublishFailed(f"no turn is taken: {error}") from error
        turn, refusal = refusals[0]
        raise PublishRefused(turn.actor, turn.seq, str(refusal)) from refusal

    async def _sift(
        self, turns: list[TurnEvents], error: DataRefused, refusals: list[tuple[TurnEvents, DataRefused]]
    ) -> int:
        """Insert the halves of a refused batch, and theirs. Returns how many turns were taken."""
        if len(turns) == 1:
            refusals.append((turns[0], error))
            return 0
        middle = len(turns) // 2
        taken = 0
        for half in (turns[:middle], turns[middle:]):
            try:
                await self._insert_now([row for turn in half for row in rows_of(turn)])
                taken += len(half)
            except StoreUnavailable as failure:
                raise PublishFailed(str(failure)) from failure
            except DataRefused as refusal:
                taken += await self._sift(half, refusal, refusals)
                if not taken and len(refusals) >= _REFUSALS_MAX:
                    break
        return taken
