"""Runs of Crash bots and of watchers, in this process or in several.

Owns what such a run is: when it is over, its progress line and its report.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from typing import NamedTuple

import msgspec

from benchmarks.bots import share_out
from benchmarks.crash.crowd import CrashCrowd
from benchmarks.crash.report import CrashReport, CrashResult, CrashStatus, merge_crash
from benchmarks.crash.watch_report import WatchReport, merge_watch
from benchmarks.crash.watchers import WatcherCrowd, WatchResult, WatchStatus
from benchmarks.measurements import quantiles_of
from benchmarks.options import CrashOptions, WatchOptions
from benchmarks.troupe import open_troupes, perform


class Line(NamedTuple):
    """How a run is going, in words, about once a second."""

    elapsed_s: float
    text: str


Show = Callable[[Line], None]


def _nowhere(line: Line) -> None:
    """Shows nothing."""


async def run_crash(
    options: CrashOptions,
    duration_s: float | None,
    *,
    processes: int = 1,
    show: Show = _nowhere,
    interrupt: asyncio.Event | None = None,
) -> CrashReport:
    """Have guests play at a table for ``duration_s`` seconds or ``options.rounds``, whichever ends first;
    then wait for the bets still open. See ``run_bots`` for the rest.

    Raises:
        SignUpFailed: not all players could be signed up and connected.
        ValueError: an option makes no sense, or there is no end to the run.
    """
    options.check()
    if duration_s is None and options.rounds is None:
        raise ValueError("say how long: a duration or a number of rounds")
    watch = _Silence(options.silence_s)

    def on_second(elapsed_s: float, statuses: Sequence[CrashStatus]) -> bool:
        show(Line(elapsed_s, _crash_line(options, elapsed_s, statuses)))
        if all(status.is_over for status in statuses):
            return False
        return not watch.is_broken(elapsed_s, sum(status.deliveries for status in statuses))

    async with AsyncExitStack() as stack:
        shares = share_out(options, processes)
        results = await perform(
            await open_troupes(stack, shares, CrashCrowd, CrashStatus, CrashResult),
            duration_s,
            interrupt or asyncio.Event(),
            lambda: show(Line(0.0, f"signing up: {options.players} players …")),
            on_second,
        )
    if watch.broken:
        results[0].errors["table_silent"] = 1
    return merge_crash(options.url, options.table, options.players, results)


async def run_watchers(
    options: WatchOptions,
    duration_s: float,
    *,
    processes: int = 1,
    show: Show = _nowhere,
    interrupt: asyncio.Event | None = None,
) -> WatchReport:
    """Listen to a table with ``options.players`` connections for ``duration_s`` seconds.

    Raises:
        SignUpFailed: not all could be connected.
        ValueError: an option makes no sense.
    """
    options.check()
    peak = 0

    def on_second(elapsed_s: float, statuses: Sequence[WatchStatus]) -> bool:
        nonlocal peak
        peak = max(peak, sum(status.deliveries for status in statuses))
        show(Line(elapsed_s, watch_line(elapsed_s, duration_s, statuses)))
        return True

    async with AsyncExitStack() as stack:
        results = await perform(
            await open_troupes(
                stack, watcher_shares(options, processes), WatcherCrowd, WatchStatus, WatchResult
            ),
            duration_s,
            interrupt or asyncio.Event(),
            lambda: show(Line(0.0, f"connecting: {options.players} watchers …")),
            on_second,
        )
    return merge_watch(options.url, options.table, options.players, peak, results)


def watcher_shares(options: WatchOptions, processes: int) -> list[WatchOptions]:
    """The options of each process."""
    return [
        msgspec.structs.replace(share, connect_parallel=max(1, options.connect_parallel // processes))
        for share in share_out(options, processes)
    ]


class _Silence:
    """Notices a table that says nothing any more. Rounds are long, but never silent for long."""

    def __init__(self, bound_s: float) -> None:
        self.broken = False
        self._bound_s = bound_s
        self._heard_at_s = 0.0

    def is_broken(self, elapsed_s: float, deliveries: int) -> bool:
        if deliveries:
            self._heard_at_s = elapsed_s
        self.broken = elapsed_s - self._heard_at_s > self._bound_s
        return self.broken


def _crash_line(options: CrashOptions, elapsed_s: float, statuses: Sequence[CrashStatus]) -> str:
    def total(name: str) -> int:
        return sum(getattr(status, name) for status in statuses)

    rounds = max(status.rounds for status in statuses)
    of = f"/{options.rounds}" if options.rounds is not None else ""
    return (
        f"{elapsed_s:5.0f} s  rounds {rounds}{of}  bets {total('bets'):,}  "
        f"cash-outs {total('cash_outs'):,}  {total('deliveries'):9,} events/s  "
        f"tick lag p99 {max(status.lag.p99_ms for status in statuses):.1f} ms  "
        f"bet p99 {max(status.place.p99_ms for status in statuses):.1f} ms  "
        f"errors {total('errors')}  violations {total('violations')}  reconnects {total('reconnects')}"
    )


def watch_line(elapsed_s: float, duration_s: float, statuses: Sequence[WatchStatus]) -> str:
    """A second of watchers."""
    lag = quantiles_of(status.lag for status in statuses)
    return (
        f"{elapsed_s:5.0f}/{duration_s:.0f} s  {sum(status.listening for status in statuses):,} listening  "
        f"{sum(status.deliveries for status in statuses):9,} events/s  "
        f"tick lag p50 {lag.p50_ms:.1f} ms  p99 {lag.p99_ms:.1f} ms  "
        f"errors {sum(status.errors for status in statuses)}  "
        f"reconnects {sum(status.reconnects for status in statuses)}"
    )
