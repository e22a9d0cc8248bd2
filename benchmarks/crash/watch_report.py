"""From what watchers heard in several processes to one report. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from benchmarks.crash.watchers import WatchResult
from benchmarks.measurements import Quantiles, quantiles_of
from benchmarks.report import sum_counts


class WatchReport(msgspec.Struct, kw_only=True):
    """The outcome of a run. ``ok`` says whether it may pass as a test."""

    ok: bool
    url: str
    table: str
    watchers: int
    listening: int
    """Of them, connected and subscribed at the end."""
    processes: int
    duration_s: float
    deliveries: int
    deliveries_per_s: float
    deliveries_per_s_max: float
    """In the best second: rounds run only part of the time."""
    ticks_per_s: float
    """Different ticks, while rounds ran."""
    ticks_complete: float
    """Share of all ticks, times watchers, that arrived; the rest was coalesced for slow readers."""
    tick_lag: Quantiles
    tick_gap_max_s: float
    errors: dict[str, int]
    retried: dict[str, int]
    reconnects: int
    connect_failures: int
    close_codes: dict[str, int]
    malformed_frames: int

    @property
    def failures(self) -> list[str]:
        """Why ``ok`` is False, in words."""
        reasons = [f"{count} × error {code}" for code, count in self.errors.items()]
        if self.malformed_frames:
            reasons.append(f"{self.malformed_frames} × malformed frames")
        if self.listening < self.watchers:
            reasons.append(f"{self.watchers - self.listening} watchers lost their table")
        if self.ticks_complete == 0.0:
            reasons.append("no tick was heard")
        return reasons


def merge_watch(
    url: str, table: str, watchers: int, per_s_max: float, results: Sequence[WatchResult]
) -> WatchReport:
    """One report from the results of every process."""
    began_ns = min(result.began_ns for result in results)
    duration_s = max((max(result.stopped_ns for result in results) - began_ns) / 1e9, 1e-9)
    deliveries = sum(result.deliveries for result in results)
    ticks = max(result.ticks for result in results)
    running_ns = max(result.running_ns for result in results)
    tick_deliveries = sum(result.tick_deliveries for result in results)
    report = WatchReport(
        ok=False,
        url=url,
        table=table,
        watchers=watchers,
        listening=sum(result.listening for result in results),
        processes=len(results),
        duration_s=round(duration_s, 3),
        deliveries=deliveries,
        deliveries_per_s=round(deliveries / duration_s, 1),
        deliveries_per_s_max=per_s_max,
        ticks_per_s=round(ticks * 1e9 / running_ns, 2) if running_ns else 0.0,
        ticks_complete=round(tick_deliveries / (ticks * watchers), 4) if ticks else 0.0,
        tick_lag=quantiles_of(result.lag for result in results),
        tick_gap_max_s=round(max(result.tick_gap_ns_max for result in results) / 1e9, 3),
        errors=sum_counts([result.errors for result in results]),
        retried=sum_counts([result.retried for result in results]),
        reconnects=sum(result.reconnects for result in results),
        connect_failures=sum(result.connect_failures for result in results),
        close_codes=sum_counts([result.close_codes for result in results]),
        malformed_frames=sum(result.malformed_frames for result in results),
    )
    report.ok = not report.failures
    return report
