"""The analytics store as the process has it that writes to it, and its comparison with the journal.

Only one process at a time can have the embedded store, so whoever wants something of it asks this one.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Mapping
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
_LOOK_EVERY_S = 10.0
MARGIN_MS = 60_000
"""What was recorded so recently is not looked at: it may be on its way."""
_RUNS_WAITING_MAX = 4
_RUNS_REMEMBERED_MAX = 16

StoredUntil = Callable[[], int | None]
"""Everything recorded before this time, in ms, has reached the store, as far as this process can tell; None
when it cannot yet."""


class NotSettled(RuntimeFault):
    """Too early to compare."""


class StoreStuck(RuntimeFault):
    """The store's engine hangs, and only a new process can do without it."""


class ReconciliationRun(msgspec.Struct):
    """One comparison: waiting for its turn, under way, or ended."""

    number: int
    """Counts from 1 in the life of the process."""
    is_running: bool = True
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
        self._clickhouse = ClickHouse(address)
        self.store = ClickHouseStore(self._clickhouse, clock, StoreSettings(retention_days=days))
        # A connection of its own, so that no long question holds up an insert.
        self._counting = ClickHouse(address)
        self._counts = EventCounts(self._counting)
        self._journal = JournalCounts(configuration.dsn)
        self._tail = PostgresJournalTail(configuration.dsn)
        self._reconciliation = Reconciliation(self._journal, self._counts, self.store, SECRET_EVENTS)
        self._one_at_a_time = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        self._runs: deque[ReconciliationRun] = deque(maxlen=_RUNS_REMEMBERED_MAX)
        self._last_report = Report()
        self._succeeded_s = clock.monotonic()

    async def run(self) -> None:
        """Compare what was not compared yet, every hour, for ever. What is missing is published again.
        Raises :class:`StoreStuck`."""
        checking = asyncio.create_task(self._check())
        try:
            while not (self._clickhouse.is_stuck or self._counting.is_stuck):
                await asyncio.sleep(_LOOK_EVERY_S)
            raise StoreStuck("too many calls of the analytics store hang")
        finally:
            checking.cancel()
            await asyncio.gather(checking, return_exceptions=True)

    async def _check(self) -> None:
        await asyncio.sleep(_FIRST_CHECK_AFTER_S)
        while True:
            is_done = False
            try:
                is_done = await self._check_once()
            except Exception:
                # Events must get through, whether anybody counts them or not.
                _log.exception("reconciliation failed")
            await asyncio.sleep(_CHECK_EVERY_S if is_done else _CHECK_AGAIN_S)

    async def _check_once(self) -> bool:
        await self.store.prepare()
        run = self.begin(since_ms=await self._counts.compared_until_ms())
        await self._ended(run)
        report = run.report
        if run.error is not None:
            return False
        # What nobody can repair is not looked at every hour.
        if report.repaired >= report.missing or report.refused_turns:
            await self._counts.compared(run.until_ms)
        return True

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.store.close()
        await self._counting.close()
        await self._journal.close()
        await self._tail.close()

    def begin(self, since_ms: int = 0, repair: bool = True) -> ReconciliationRun:
        """Compare from ``since_ms`` or what the store keeps until a minute ago, when those that were
        begun before have ended. Raises ``ValueError`` when too many wait already."""
        if len(self._tasks) > _RUNS_WAITING_MAX:
            raise ValueError("too many comparisons are waiting already: try again later")
        now_ms = self._clock.now_ms()
        # Whole days: what is about to be forgotten may be gone on one side.
        kept_since_ms = -(-(now_ms - self._retention_ms + DAY_MS) // DAY_MS) * DAY_MS
        number = self._runs[-1].number + 1 if self._runs else 1
        run = ReconciliationRun(number, since_ms=max(since_ms, kept_since_ms))
        self._runs.append(run)
        task = asyncio.create_task(self._reconcile(run, repair))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return run

    def known(self, number: int) -> ReconciliationRun:
        """One of the latest runs. Raises ``ValueError`` for any other."""
        for run in self._runs:
            if run.number == number:
                return run
        raise ValueError(f"there is no comparison {number} any more")

    async def _ended(self, run: ReconciliationRun) -> None:
        while run.is_running:
            await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)

    async def _reconcile(self, run: ReconciliationRun, repair: bool) -> None:
        def progress(made: Progress) -> None:
            run.hours_done, run.hours_total, run.report = made

        try:
            async with self._one_at_a_time:
                run.until_ms = await self._settled_until_ms()
                if run.until_ms > run.since_ms:
                    run.report = await self._reconciliation.run(
                        run.until_ms, since_ms=run.since_ms, repair=repair, progress=progress
                    )
            self._last_report = run.report
            self._succeeded_s = self._clock.monotonic()
        except (RuntimeFault, OSError) as error:
            run.error = str(error)
            _log.warning("reconciliation failed", extra={"reason": run.error})
        except BaseException as error:
            run.error = f"{type(error).__name__}: {error}"
            _log.exception("reconciliation failed")
            if not isinstance(error, Exception):
                raise
        finally:
            run.is_running = False
        if not run.report.is_consistent:
            _log.error("journal and store differ", extra=msgspec.structs.asdict(run.report))

    async def _settled_until_ms(self) -> int:
        """What was recorded before is in the journal, and should be in the store."""
        # In this order: what the relay passes on in between is still on its way.
        waiting_ms = await self._tail.waiting_since_ms()
        stored_ms = self._stored_until()
        if stored_ms is None:
            raise NotSettled("it is not known yet how far the events are that are on their way")
        return min(self._clock.now_ms(), stored_ms, waiting_ms or stored_ms) - MARGIN_MS

    def figures(self) -> Mapping[str, Figures]:
        inserted, report = self.store.statistics, self._last_report
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
                "age_seconds": round(self._clock.monotonic() - self._succeeded_s, 1),
            },
        }
