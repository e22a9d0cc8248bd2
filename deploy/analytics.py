"""The analytics store as the process has it that writes to it, and its comparison with the journal.

Only one process at a time can have the embedded store, so whoever wants something of it asks this one.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

import msgspec

from actors.catalogue import SECRET_EVENTS
from deploy.configuration import Configuration
from persistence.clickhouse.client import ClickHouse
from persistence.clickhouse.event_counts import EventCounts
from persistence.clickhouse.store import ClickHouseStore, StoreSettings
from persistence.postgres.journal_counts import JournalCounts
from persistence.postgres.journal_tail import PostgresJournalTail
from persistence.reconciliation import DAY_MS, Progress, Reconciliation, Report
from runtime.clock import Clock
from runtime.cluster.reporter import Figures
from runtime.errors import RuntimeFault

_log = logging.getLogger(__name__)

_FIRST_CHECK_AFTER_S = 60.0
_CHECK_EVERY_S = 3600.0
_CHECK_AGAIN_S = 300.0
"""After a failure."""
MARGIN_MS = 60_000
"""What was recorded so recently is not looked at: it may be on its way."""

StoredUntil = Callable[[], int | None]
"""Everything recorded before this time, in ms, has reached the store, as far as this process can tell; None
when it cannot yet."""


class NotSettled(RuntimeFault):
    """Too early to compare."""


class ReconciliationRun(msgspec.Struct):
    """One comparison, under way or ended."""

    number: int = 0
    """Counts from 1 in the life of the process; 0: none yet."""
    is_running: bool = False
    since_ms: int = 0
    until_ms: int = 0
    hours_done: int = 0
    hours_total: int = 0
    report: Report = msgspec.field(default_factory=Report)
    error: str | None = None
    """Why it ended before it was done."""


class Analytics:
    """``store`` is where events go. ``run`` compares each hour with the journal when it is over."""

    def __init__(self, configuration: Configuration, clock: Clock, stored_until: StoredUntil) -> None:
        target = configuration.clickhouse
        address = target if "://" in target else Path(target)
        days = configuration.events_retention_days
        self._clock = clock
        self._stored_until = stored_until
        self._retention_ms = days * DAY_MS
        self.store = ClickHouseStore(ClickHouse(address), clock, StoreSettings(retention_days=days))
        # A connection of its own, so that no long question holds up an insert.
        self._counting = ClickHouse(address)
        self._journal = JournalCounts(configuration.dsn)
        self._tail = PostgresJournalTail(configuration.dsn)
        self._reconciliation = Reconciliation(
            self._journal, EventCounts(self._counting), self.store, SECRET_EVENTS
        )
        self._checked_until_ms = 0
        self._task: asyncio.Task[None] | None = None
        self.last_run = ReconciliationRun()

    async def run(self) -> None:
        """Compare what is new with the journal, every hour, for ever. What is missing is published again."""
        await asyncio.sleep(_FIRST_CHECK_AFTER_S)
        while True:
            since_ms = self._checked_until_ms or self._clock.now_ms() - DAY_MS
            run = await self.reconcile(since_ms=since_ms)
            await asyncio.shield(self._under_way())
            if run.error is None:
                self._checked_until_ms = run.until_ms
            await asyncio.sleep(_CHECK_EVERY_S if run.error is None else _CHECK_AGAIN_S)

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self.store.close()
        await self._counting.close()
        await self._journal.close()
        await self._tail.close()

    async def reconcile(self, since_ms: int = 0, repair: bool = True) -> ReconciliationRun:
        """Begin to compare, from ``since_ms`` or what the store keeps until a minute ago; or, when a
        comparison is under way, return that one."""
        if self._task is None or self._task.done():
            now_ms = self._clock.now_ms()
            # Whole days: what is about to be forgotten may be gone on one side.
            kept_since_ms = -(-(now_ms - self._retention_ms + DAY_MS) // DAY_MS) * DAY_MS
            run = self.last_run = ReconciliationRun(
                self.last_run.number + 1, True, max(since_ms, kept_since_ms)
            )
            self._task = asyncio.create_task(self._reconcile(run, repair))
        return self.last_run

    def _under_way(self) -> Awaitable[None]:
        assert self._task is not None
        return self._task

    async def _reconcile(self, run: ReconciliationRun, repair: bool) -> None:
        def progress(made: Progress) -> None:
            run.hours_done, run.hours_total, run.report = made

        try:
            run.until_ms = await self._settled_until_ms()
            if run.until_ms > run.since_ms:
                run.report = await self._reconciliation.run(
                    run.until_ms, since_ms=run.since_ms, repair=repair, progress=progress
                )
        except (RuntimeFault, OSError) as error:
            run.error = str(error)
            _log.warning("reconciliation failed", extra={"reason": run.error})
        except BaseException as error:
            run.error = f"{type(error).__name__}: {error}"
            raise
        finally:
            run.is_running = False
        if not run.report.is_consistent:
            _log.error("journal and store differ", extra=msgspec.structs.asdict(run.report))

    async def _settled_until_ms(self) -> int:
        """What was recorded before is in the journal, and should be in the store."""
        stored_ms = self._stored_until()
        if stored_ms is None:
            raise NotSettled("it is not known yet how far the events are that are on their way")
        waiting_ms = await self._tail.waiting_since_ms()
        return min(self._clock.now_ms(), stored_ms, waiting_ms or stored_ms) - MARGIN_MS

    def figures(self) -> Mapping[str, Figures]:
        inserted, report = self.store.statistics, self.last_run.report
        return {
            "clickhouse": {
                "rows_total": inserted.rows,
                "inserts_total": inserted.inserts,
                "errors_total": inserted.insert_errors,
            },
            "reconcile": {
                "missing": report.missing,
                "repaired": report.repaired,
                "duplicates": report.duplicates,
                "unexpected": report.unexpected,
            },
        }
