"""A broadcast of the casino beside a server that only writes: what a delivery costs each.

Owns repeating ``benchmarks.broadcast``, which lets the two take turns, and the ratio of its rounds.
"""

from __future__ import annotations

from benchmarks.broadcast import run_broadcast
from benchmarks.broadcast_report import BroadcastReport, Side
from benchmarks.compare.pairing import RATE, Pair, Slice, ratio, spread
from benchmarks.compare.result import Figure, Found
from benchmarks.compare.row import Bench, EndedEarly
from benchmarks.compare.servers import CASINO
from benchmarks.descriptors import allow_sockets

BARE = "bare writer"
DELIVERIES = "deliveries per second of CPU time"
_PROCESSES = 2


class NotHeard(Exception):
    """The broadcast went wrong, so that its figures mean nothing."""


async def broadcasts(bench: Bench) -> Found:
    """The rounds that were completed, when somebody has had enough."""
    sizes = bench.sizes
    allow_sockets(sizes.broadcast_connections // _PROCESSES + _PROCESSES)
    bench.report("starting casino")
    target = await bench.unless(bench.servers.get(CASINO))
    reports: list[BroadcastReport] = []
    for number in range(sizes.broadcast_rounds):

        def show(elapsed_s: float, text: str, which: int = number + 1) -> None:
            bench.report(f"round {which} of {sizes.broadcast_rounds}: {text}")

        try:
            report = await bench.unless(
                run_broadcast(
                    target.url,
                    "main",
                    sizes.broadcast_connections,
                    sizes.broadcast_s,
                    cycles=1,
                    processes=_PROCESSES,
                    show=show,
                )
            )
        except EndedEarly:
            if not reports:
                raise
            break
        if report.failures:
            raise NotHeard("; ".join(report.failures))
        reports.append(report)
    return found_of(reports, sizes.broadcast_rounds)


def found_of(reports: list[BroadcastReport], wanted: int) -> Found:
    """Pure. Raises ``ValueError`` when there are none."""
    if not reports:
        raise ValueError("nothing was measured")
    # The bare server has the first word in each round: it is what the casino's watchers are checked by.
    pairs = [Pair((_slice(BARE, report.bare_flooding), _slice(CASINO, report.casino))) for report in reports]
    lag = "lag of a tick"
    figures = [Figure("listeners", float(max(report.connections for report in reports)), "")]
    for name, unit, values in (
        ("casino, deliveries per CPU second", "", [r.casino.deliveries_per_cpu_s for r in reports]),
        (f"{BARE}, deliveries per CPU second", "", [r.bare_flooding.deliveries_per_cpu_s for r in reports]),
        ("casino, deliveries", "/s", [r.casino.deliveries_per_s for r in reports]),
        (f"{BARE}, deliveries at full speed", "/s", [r.bare_flooding.deliveries_per_s for r in reports]),
        (f"casino beside a {BARE} at the same pace", "×", [r.share for r in reports]),
        (f"casino, {lag}, p50", "ms", [r.casino.lag.p50_ms for r in reports if r.casino.lag]),
        (f"casino, {lag}, p99", "ms", [r.casino.lag.p99_ms for r in reports if r.casino.lag]),
        (f"{BARE}, {lag}, p99", "ms", [r.bare_ticking.lag.p99_ms for r in reports if r.bare_ticking.lag]),
    ):
        if values:
            found = spread(values)
            figures.append(Figure(name, found.value, unit, found.low, found.high))
    notes = [] if len(reports) == wanted else [f"Ended early, after {len(reports)} of {wanted} rounds."]
    return Found({DELIVERIES: ratio(pairs, RATE, CASINO, BARE)}, figures, pairs, notes=notes)


def _slice(server: str, side: Side) -> Slice:
    return Slice(server, {RATE: side.deliveries_per_cpu_s})
