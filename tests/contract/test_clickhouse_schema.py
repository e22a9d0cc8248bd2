"""Tables that come to be once, whatever was interrupted, and forget when they should."""

from __future__ import annotations

import asyncio

import pytest

from persistence.clickhouse.client import ClickHouse
from persistence.clickhouse.schema import VERSIONS, SchemaTooNew, ensure_schema
from persistence.clickhouse.store import ClickHouseStore, StoreSettings
from runtime.clock import SystemClock
from runtime.relay import PublishFailed
from tests.contract.clickhouse_engines import ask, spin, tell, turn

DAY_MS = 86_400_000


async def test_it_may_be_ensured_again(clickhouse: ClickHouse) -> None:
    for _ in range(3):
        await clickhouse.call(ensure_schema)
    assert await ask(clickhouse, "SELECT arraySort(groupArray(version)) FROM schema_versions") == [
        (list(range(1, len(VERSIONS) + 1)),)
    ]


async def test_what_was_interrupted_is_completed(clickhouse: ClickHouse) -> None:
    await clickhouse.call(ensure_schema)
    await tell(clickhouse, "DROP VIEW game_stats")
    await tell(clickhouse, "TRUNCATE TABLE schema_versions")
    await clickhouse.call(ensure_schema)
    assert await ask(clickhouse, "SELECT count() FROM game_stats") == [(0,)]


async def test_a_table_that_was_dropped_is_made_anew(clickhouse: ClickHouse) -> None:
    await clickhouse.call(ensure_schema)
    await clickhouse.call(lambda client: client.command("INSERT INTO comparisons (until_ms) VALUES (5)"))
    await clickhouse.call(lambda client: client.command("DROP TABLE event_log"))
    await clickhouse.call(ensure_schema)
    # What was compared is not any more.
    for table in ("event_log", "comparisons"):
        query = f"SELECT count() FROM {table}"
        rows = await clickhouse.call(lambda client, query=query: client.query(query).result_rows)
        assert rows == [(0,)]


async def test_a_later_schema_is_left_alone(clickhouse: ClickHouse) -> None:
    await clickhouse.call(ensure_schema)
    await tell(clickhouse, f"INSERT INTO schema_versions (version) VALUES ({len(VERSIONS) + 1})")
    with pytest.raises(SchemaTooNew):
        await clickhouse.call(ensure_schema)
    with pytest.raises(PublishFailed, match="version"):
        await ClickHouseStore(clickhouse, SystemClock()).publish([turn("session/ann", 1, spin(0))])


async def test_what_is_acknowledged_has_been_flushed(clickhouse: ClickHouse) -> None:
    await clickhouse.call(ensure_schema)
    ((engine,),) = await ask(clickhouse, "SELECT engine_full FROM system.tables WHERE name = 'event_log'")
    assert "fsync_after_insert = 1, fsync_part_directory = 1" in engine


async def test_events_go_when_the_retention_is_over(clickhouse: ClickHouse) -> None:
    clock = SystemClock()
    now = clock.now_ms()
    turns = [turn("session/ann", days, spin(0), at_ms=now - days * DAY_MS) for days in (1, 20, 40)]
    store = ClickHouseStore(clickhouse, clock, StoreSettings(insert_interval_s=0, retention_days=60))
    await store.publish(turns)
    await tell(clickhouse, "OPTIMIZE TABLE event_log FINAL")
    assert await ask(clickhouse, "SELECT arraySort(groupArray(seq)) FROM events") == [([1, 20, 40],)]
    shorter = ClickHouseStore(clickhouse, clock, StoreSettings(insert_interval_s=0, retention_days=30))
    await shorter.publish(turns[:1])
    # Each part is told of its new end in the background, and goes with a merge after that.
    async with asyncio.timeout(60):
        while await ask(clickhouse, "SELECT arraySort(groupArray(seq)) FROM events") != [([1, 20],)]:
            await tell(clickhouse, "OPTIMIZE TABLE event_log FINAL")
