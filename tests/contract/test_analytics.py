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

    async def ended(self) -> ReconciliationRun:
        async with asyncio.timeout(60):
            while self.analytics.last_run.is_running or not self.analytics.last_run.number:
                await asyncio.sleep(0.02)
        return self.analytics.last_run


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
    await case.analytics.reconcile(repair=False)
    run = await case.ended()
    assert (run.error, run.report.missing, run.report.repaired) == (None, 6, 0)
    await case.analytics.reconcile()
    run = await case.ended()
    assert (run.number, run.report.missing, run.report.repaired) == (2, 6, 6)
    assert case.analytics.figures()["reconcile"]["missing"] == 6
    assert case.analytics.figures()["clickhouse"]["rows_total"] == 6
    await case.analytics.reconcile()
    assert (await case.ended()).report.is_consistent


async def test_who_asks_while_one_is_under_way_is_told_of_that(case: Case) -> None:
    await case.commit(HOUR_AGO_MS)
    await case.relayed()
    first = await case.analytics.reconcile(repair=False)
    second = await case.analytics.reconcile(repair=True)
    assert first is second
    assert (await case.ended()).report.repaired == 0


async def test_what_may_be_on_its_way_is_not_missed(case: Case) -> None:
    now_ms = int(time.time() * 1000)
    await case.commit(HOUR_AGO_MS, now_ms - MARGIN_MS // 2)
    # Not relayed yet: neither is missing.
    await case.analytics.reconcile(repair=False)
    assert (await case.ended()).report.missing == 0
    # Relayed, and everything is thought to have arrived: what is older than a minute should be there.
    await case.relayed()
    await case.analytics.reconcile(repair=False)
    assert (await case.ended()).report.missing == 2
    # Still on the bus.
    case.stored_until_ms = HOUR_AGO_MS - HOUR_MS
    await case.analytics.reconcile(repair=False)
    assert (await case.ended()).report.missing == 0


async def test_nothing_is_compared_before_it_is_known_how_far_events_are(case: Case) -> None:
    await case.commit(HOUR_AGO_MS)
    await case.relayed()
    case.stored_until_ms = None
    await case.analytics.reconcile()
    run = await case.ended()
    assert run.error is not None
    assert "not known yet" in run.error


async def test_what_the_store_has_forgotten_is_not_missed(case: Case) -> None:
    await case.commit(HOUR_AGO_MS - 5 * DAY_MS)
    await case.relayed()
    await case.analytics.reconcile(repair=False)
    run = await case.ended()
    assert (run.error, run.report.missing) == (None, 0)


async def test_it_looks_by_itself(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_FIRST_CHECK_AFTER_S", 0.0)
    monkeypatch.setattr(module, "_CHECK_EVERY_S", 0.05)
    await case.commit(HOUR_AGO_MS)
    await case.relayed()
    looking = asyncio.create_task(case.analytics.run())
    async with asyncio.timeout(60):
        while case.analytics.last_run.number < 3:
            await asyncio.sleep(0.02)
    looking.cancel()
    await asyncio.gather(looking, return_exceptions=True)
    case.stored_until_ms = int(time.time() * 1000)
    await case.analytics.reconcile()
    assert (await case.ended()).report.is_consistent
    assert case.analytics.store.statistics.rows == 2
