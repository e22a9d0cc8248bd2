"""Durable commands of two servers, by turns: throughput and latency under a closed loop.

Owns taking the slices. Both servers stay started, and only one of them is under load at a time.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from benchmarks.compare.pairing import P50, P99, RATE, Pair, Slice, Spread, figure, ratio, turns
from benchmarks.compare.result import Figure, Found
from benchmarks.compare.row import Bench, EndedEarly
from benchmarks.load.plan import Plan, Wishes, plan_of
from benchmarks.load.run import Moment, run
from benchmarks.load.target import Target
from benchmarks.scenarios.catalogue import SCENARIOS

SPINS = "spins per second"
SLOWEST = "time that 99 of 100 spins take at most"
_SPIN = SCENARIOS["spin"]


class NothingAnswered(Exception):
    """A server was under load and answered nothing."""


def paired_spins(
    ours: str, other: str, connections: int, aims: dict[str, str]
) -> Callable[[Bench], Awaitable[Found]]:
    """``aims``: which of the slices' figures the ratio for an aim is of, by the aim's name."""

    async def measure(bench: Bench) -> Found:
        sizes = bench.sizes
        targets: dict[str, Target] = {}
        for name in (ours, other):
            bench.report(f"starting {name}")
            targets[name] = await bench.unless(bench.servers.get(name))
        plan = plan_of(
            _SPIN,
            Wishes(closed=connections, duration_s=sizes.slice_s, warm_up_s=sizes.warm_up_s),
        )
        pairs: list[Pair] = []
        versions: dict[str, str] = {}
        try:
            for number, (first, second) in enumerate(turns(ours, other, sizes.pairs)):
                which = f"pair {number + 1} of {sizes.pairs}"
                pairs.append(
                    Pair(
                        (
                            await _slice(bench, targets[first], first, plan, which, versions),
                            await _slice(bench, targets[second], second, plan, which, versions),
                        )
                    )
                )
        except EndedEarly:
            # Half a pair says nothing; whole ones stay.
            if not pairs:
                raise
        return found_of(pairs, ours, other, aims, sizes.pairs, versions)

    return measure


def found_of(
    pairs: list[Pair],
    ours: str,
    other: str,
    aims: dict[str, str],
    wanted: int,
    versions: dict[str, str],
) -> Found:
    """Ratios and figures of what was taken. Pure."""
    values: dict[str, Spread] = {aim: ratio(pairs, name, ours, other) for aim, name in aims.items()}
    figures = []
    for server in (ours, other):
        for name, unit, text in ((RATE, "/s", "spins"), (P50, "ms", "p50"), (P99, "ms", "p99")):
            found = figure(pairs, server, name)
            figures.append(Figure(f"{server}, {text}", found.value, unit, found.low, found.high))
    notes = []
    if len(pairs) < wanted:
        notes.append(f"Ended early, after {len(pairs)} of {wanted} pairs.")
    for server in (ours, other):
        slices = [pair.of(server) for pair in pairs]
        limited = [taken for taken in slices if taken.limited_by]
        if limited:
            notes.append(
                f"The load generator was the limit in {len(limited)} of {len(slices)} slices of {server}, "
                f"which can do more than is shown ({limited[0].limited_by[0]})."
            )
        failures = sum(taken.figures.get("failures", 0.0) for taken in slices)
        if failures:
            notes.append(f"{failures:,.0f} spins failed at {server}.")
    return Found(values, figures, pairs, notes=notes, versions=versions)


async def _slice(
    bench: Bench, target: Target, name: str, plan: Plan, which: str, versions: dict[str, str]
) -> Slice:
    """Raises ``EndedEarly`` instead of a slice that was cut short."""

    def show(moment: Moment) -> None:
        bench.report(f"{which}: {name}, {moment.phase}, {moment.rate:,.0f}/s, p99 {moment.p99_ms:,.1f} ms")

    outcome = await bench.unless(run(_SPIN, target, plan, (), command="", probe=bench.probe, show=show))
    result = outcome.result
    versions.update(result.machine.versions)
    if not result.answers:
        raise NothingAnswered(f"{name} answered none of {result.arrivals:,} spins: {result.errors}")
    return Slice(
        name,
        {
            RATE: result.figures["rate"],
            P50: result.latency.p50_ms,
            P99: result.latency.p99_ms,
            "failures": float(sum(result.errors.values()) + result.lost),
        },
        result.generator.saturated,
    )
