"""What a comparison of broadcasts found, and how it looks on a terminal. Pure."""

from __future__ import annotations

import os

import msgspec
from rich.console import Console
from rich.table import Table

from benchmarks.measurements import Quantiles
from benchmarks.presentation import print_verdict


class Side(msgspec.Struct, kw_only=True):
    """One kind of broadcast, over all its turns."""

    seconds: float
    deliveries: int
    deliveries_per_s: float
    deliveries_per_s_max: float
    """In the best second."""
    ticks: int
    cpu_s: float
    """User and system time of the server's process or processes."""
    deliveries_per_cpu_s: float
    lag: Quantiles | None
    """Of its ticks, on the wall clock; when it floods there are none."""


class BroadcastReport(msgspec.Struct, kw_only=True):
    """``share`` is the casino's deliveries per CPU second over the bare server's when it ticks, too;
    ``share_of_ceiling`` over the bare server's when it floods."""

    ok: bool
    url: str
    table: str
    connections: int
    processes: int
    tick_bytes: int
    bare_ticking: Side
    bare_flooding: Side
    casino: Side
    casino_idle_cpu_share: float
    """CPU seconds per second of the casino's server while nobody listened; it is part of ``casino``."""
    share: float
    share_of_ceiling: float
    listening: int
    errors: int
    reconnects: int

    @property
    def failures(self) -> list[str]:
        """Why ``ok`` is False, in words."""
        reasons = []
        if not (self.bare_ticking.deliveries and self.bare_flooding.deliveries):
            reasons.append("the bare server was not heard")
        if self.casino.ticks == 0:
            reasons.append("the table did not tick")
        if self.listening < self.connections:
            reasons.append(f"{self.connections - self.listening} watchers lost the casino's table")
        if self.errors:
            reasons.append(f"{self.errors} errors")
        return reasons


def print_broadcast(console: Console, report: BroadcastReport) -> None:
    """A row for each side, then the ratio."""
    table = Table(
        "", "deliveries/s", "best second", "lag p50 ms", "p99", "max", "CPU s", "per CPU s",
        title=f"{report.connections:,} connections, {report.tick_bytes} bytes a tick, {os.cpu_count()} cores "
        "for clients and servers", box=None,
    )  # fmt: skip
    for name, side in (
        ("bare, 10/s", report.bare_ticking),
        ("bare, flooding", report.bare_flooding),
        ("casino", report.casino),
    ):
        lag = [f"{value:.1f}" for value in side.lag] if side.lag is not None else ["–"] * 3
        table.add_row(
            name,
            f"{side.deliveries_per_s:,.0f}",
            f"{side.deliveries_per_s_max:,.0f}",
            *lag,
            f"{side.cpu_s:.1f}",
            f"{side.deliveries_per_cpu_s:,.0f}",
        )
    console.print(table)
    console.print(
        f"per CPU second the casino delivers {report.share:.0%} of a bare server that ticks as often, and "
        f"{report.share_of_ceiling:.0%} of one that floods; idle it uses {report.casino_idle_cpu_share:.1%} "
        "of a core",
        highlight=False,
    )
    print_verdict(console, report.failures, "every watcher heard the table")
