"""The process that has the analytics store compares it with the journal, when asked and by itself."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest

from deploy import analytics as module
from deploy.analytics import MARGIN_MS, Analytics, ReconciliationRun
from persistence.postgres.journal_tail import PostgresJournalTail
from persistence.reconciliation import DAY_MS, HOUR_MS
from runtime.clock import SystemClock
from tests.contract import turns as records
from tests.contract.clickhouse_engines import directory
from tests.contract.storages import PostgresStorage
from tests.contract.test_reconciliation import turn

HOUR_AGO_MS = int(time.time() * 1000) - HOUR_MS


class Case:
    def __init__(self, dsn: str, postgres: PostgresStorage, clickhouse: str) -> None:
        self.stored_until_ms: int | None = int(time.time() * 1000)
        self.postgres = postgres
        self.dsn = dsn
        configuration: Any = SimpleNamespace(dsn=dsn, clickhouse=clickhouse, events_retention_days=3)
        self.analytics = Analytics(configuration, SystemClock(), lambda: self.stored_until_ms)

    async def commit(self, *at_ms: int) -> None:
        incarnation = await self.postgres.membership.register("session-host-1", "unix:/somewhere", 60.0)
        recorded = [turn("ann", seq, 2, at) for seq, at in enumerate(at_ms, start=1)]
        await self.postgres.journal().commit(records.batch(incarnation, *recorded))

    async def relayed(self) -> None:
        """The place of a relay that has read everything, whether it arrived or not."""
        tail = PostgresJournalTail(self.dsn)
        claim = await tail.claim()
        await tail.advance(claim.epoch, (await tail.read(claim.place, 1000)).end)
        await tail.close()

    async def compared(self, since_ms: int = 0, repair: bool = True) -> ReconciliationRun:
        return await self.ended(self.analytics.begin(since_ms, repair))

    async def ended(self, run: ReconciliationRun) -> ReconciliationRun:
        async with asyncio.timeout(60):
            while run.is_running:
                await asyncio.sleep(0.02)
        return run


@pytest.fixture
async def case(dsn: str, postgres: PostgresStorage) -> AsyncIterator[Case]:
    with directory() as path:
        case = Case(dsn, postgres, str(path))
        await case.analytics.store.prepare()
        yield case
        await case.analytics.close()


async def test_what_is_missing_is_found_and_repaired(case: Case) -> None:
    await case.commit(HOUR_AGO_MS, HOUR_AGO_MS + 1, HOUR_AGO_MS + 2)
    await case.relayed()
    run = await case.compared(repair=False)
    assert (run.error, run.report.missing, run.report.repaired) == (None, 6, 0)
    run = await case.compared()
    assert (run.number, run.report.missing, run.report.repaired) == (2, 6, 6)
    assert case.analytics.figures()["reconcile"]["missing"] == 6
    assert case.analytics.figures()["clickhouse"]["rows_total"] == 6
    assert (await case.compared()).report.is_consistent


async def test_each_gets_the_comparison_that_was_asked_for(case: Case) -> None:
    await case.commit(HOUR_AGO_MS - 10 * HOUR_MS, HOUR_AGO_MS)
    await case.relayed()
    runs = [
        case.analytics.begin(since_ms=HOUR_AGO_MS - 1, repair=False),
        case.analytics.begin(repair=False),
        case.analytics.begin(),
    ]
    for run in runs:
        await case.ended(run)
    assert [(run.report.missing, run.report.repaired) for run in runs] == [(2, 0), (4, 0), (4, 4)]
    assert case.analytics.known(2) is runs[1]
    with pytest.raises(ValueError, match="no comparison 9"):
        case.analytics.known(9)


async def test_who_would_wait_for_too_many_is_refused(case: Case) -> None:
    def ask_often() -> None:
        for _ in range(10):
            case.analytics.begin()

    with pytest.raises(ValueError, match="try again later"):
        ask_often()


async def test_what_may_be_on_its_way_is_not_missed(case: Case) -> None:
    now_ms = int(time.time() * 1000)
    await case.commit(HOUR_AGO_MS, now_ms - MARGIN_MS // 2)
    # Not relayed yet: neither is missing.
    assert (await case.compared(repair=False)).report.missing == 0
    # Relayed, and everything is thought to have arrived: what is older than a minute should be there.
    await case.relayed()
    assert (await case.compared(repair=False)).report.missing == 2
    # Still on the bus.
    case.stored_until_ms = HOUR_AGO_MS - HOUR_MS
    assert (await case.compared(repair=False)).report.missing == 0


async def test_nothing_is_compared_before_it_is_known_how_far_events_are(case: Case) -> None:
    await case.commit(HOUR_AGO_MS)
    await case.relayed()
    case.stored_until_ms = None
    run = await case.compared()
    assert run.error is not None
    assert "not known yet" in run.error


async def test_what_the_store_has_forgotten_is_not_missed(case: Case) -> None:
    await case.commit(HOUR_AGO_MS - 5 * DAY_MS)
    await case.relayed()
    run = await case.compared(repair=False)
    assert (run.error, run.report.missing) == (None, 0)


async def test_a_turn_that_nobody_can_read_stops_nobody(case: Case) -> None:
    await case.commit(HOUR_AGO_MS, HOUR_AGO_MS + 1)
    await case.relayed()
    await case.postgres.value("UPDATE journal SET body = '\\x94' WHERE seq = 1")
    run = await case.compared()
    assert (run.error, run.report.missing, run.report.repaired) == (None, 2, 2)


async def _looked(case: Case, times: int) -> None:
    looking = asyncio.create_task(case.analytics.run())
    async with asyncio.timeout(60):
        while len(case.analytics._runs) < times or case.analytics._runs[times - 1].is_running:
            await asyncio.sleep(0.02)
    looking.cancel()
    await asyncio.gather(looking, return_exceptions=True)


async def test_it_looks_by_itself_from_where_it_stopped(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_FIRST_CHECK_AFTER_S", 0.0)
    monkeypatch.setattr(module, "_CHECK_EVERY_S", 0.05)
    # Older than the day before: what a bus lost while a sink was away must not be lost in silence.
    await case.commit(HOUR_AGO_MS - 22 * HOUR_MS, HOUR_AGO_MS)
    await case.relayed()
    await _looked(case, 3)
    assert case.analytics.known(1).report.repaired == 4
    assert case.analytics.known(2).since_ms == case.analytics.known(1).until_ms
    assert (await case.compared()).report.is_consistent
    # A store that was lost is filled from the beginning.
    await case.analytics._clickhouse.call(lambda client: client.command("DROP TABLE event_log"))
    case.analytics.store._has_schema = False
    before = case.analytics._runs[-1].number
    await _looked(case, before + 1)
    assert case.analytics.known(before + 1).report.repaired == 4


async def test_a_check_that_fails_is_tried_again_and_stops_nobody(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_FIRST_CHECK_AFTER_S", 0.0)
    monkeypatch.setattr(module, "_CHECK_AGAIN_S", 0.02)
    case.stored_until_ms = None
    await _looked(case, 3)
    assert [case.analytics.known(number).error is None for number in (1, 2, 3)] == [False] * 3
    assert case.analytics.figures()["reconcile"]["age_seconds"] > 0
