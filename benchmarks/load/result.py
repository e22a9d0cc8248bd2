"""What a run found: ``result.json``, whose shape is versioned, and how generators' parts become one.

Pure: merges and counts, measures nothing. Times end in ``_s`` or ``_ms``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from io import StringIO

import msgspec
from hdrh.histogram import HdrHistogram

from benchmarks.load.commits import Commits
from benchmarks.load.generator import LoadResult
from benchmarks.load.machine import Machine
from benchmarks.load.plan import Plan
from benchmarks.load.processes import Usage
from benchmarks.load.recorder import slice_seconds
from benchmarks.load.saturation import saturation
from benchmarks.load.thresholds import Threshold, Verdict, judge
from benchmarks.measurements import new_histogram
from benchmarks.scenarios.scenario import Scenario

VERSION = 1


class Latency(msgspec.Struct, frozen=True):
    """Milliseconds, from when an operation was due to its answer."""

    count: int
    avg_ms: float
    p50_ms: float
    p90_ms: float
    p99_ms: float
    p999_ms: float
    max_ms: float


class Point(msgspec.Struct, frozen=True):
    """One slice of time. Latencies are of what was due in it, None when nothing was, or had no answer."""

    at_s: float
    arrivals_per_s: float
    answers_per_s: float
    failures: int
    p50_ms: float | None
    p99_ms: float | None


class Sample(msgspec.Struct, frozen=True):
    """The processes at one time, in seconds since the measured time began (negative: warm-up)."""

    at_s: float
    usage: list[Usage]


class Generator(msgspec.Struct, frozen=True):
    """``saturated`` says why the generators were the limit: then the server can do more than the figures
    show. ``late`` is how late they began what was due; it is part of every latency."""

    saturated: list[str]
    late: Latency
    given_up: int
    cpu_share_max: float


class Subject(msgspec.Struct, frozen=True):
    """What was measured."""

    name: str
    url: str
    is_local: bool
    settings: dict[str, str]


class Result(msgspec.Struct, kw_only=True):
    """The whole outcome."""

    version: int = VERSION
    ok: bool
    scenario: str
    subject: Subject
    command: str
    began_at: str
    """UTC, ISO 8601."""
    interrupted: bool
    plan: Plan
    arrivals: int
    answers: int
    lost: int
    """Due in the measured time, begun, and neither answered nor refused when the drain had ended."""
    errors: dict[str, int]
    retried: dict[str, int]
    reconnects: int
    figures: dict[str, float]
    """By name: those that thresholds can ask for, the scenario's own among them."""
    latency: Latency
    kinds: dict[str, Latency]
    points: list[Point]
    histogram: str
    """All latencies in µs, HdrHistogram's V2 encoding."""
    generator: Generator
    verdicts: list[Verdict]
    samples: list[Sample]
    """Empty when the server's processes could not be seen."""
    memory_before: dict[str, int]
    memory_after: dict[str, int]
    """Private bytes by role, before the load and at its end."""
    commits: Commits | None
    machine: Machine


class Merged(msgspec.Struct):
    """All generators' figures as one."""

    arrivals: int
    answers: int
    lost: int
    errors: dict[str, int]
    retried: dict[str, int]
    reconnects: int
    figures: dict[str, float]
    histogram: HdrHistogram
    kinds: dict[str, HdrHistogram]
    points: list[Point]
    generator: Generator


COMMON_FIGURES = ("rate", "error_rate", "errors", "lost", "arrivals", "answers", "event_gaps", "given_up")
APART = frozenset({"tick"})
"""Kinds that are no operations where there are others."""


def merge(scenario: Scenario, plan: Plan, results: Sequence[LoadResult], measured_s: float) -> Merged:
    """Histograms are added bucket by bucket, so that percentiles are of all latencies. ``measured_s`` is
    how long it was in fact, if somebody ended it early."""
    kinds = {
        kind: _histogram(result.kinds.get(kind) for result in results)
        for kind in scenario.kinds
        if any(kind in result.kinds for result in results)
    }
    whole = new_histogram()
    for kind, histogram in kinds.items():
        if kind not in APART or len(scenario.kinds) == 1:
            whole.add(histogram)
    errors, retried = Counter[str](), Counter[str]()
    for result in results:
        errors.update(result.errors)
        retried.update(result.retried)
    arrivals = sum(result.arrivals for result in results)
    answers = sum(result.answers for result in results)
    given_up = sum(result.given_up for result in results)
    failed_slices = sum(part.failures for result in results for part in result.slices)
    lost = max(0, arrivals - answers - failed_slices)
    figures = {
        "rate": answers / measured_s,
        "error_rate": (sum(errors.values()) + lost) / arrivals if arrivals else 1.0,
        "errors": float(sum(errors.values())),
        "lost": float(lost),
        "arrivals": float(arrivals),
        "answers": float(answers),
        "event_gaps": float(sum(result.event_gaps for result in results)),
        "given_up": float(given_up),
    }
    for figure in scenario.figures:
        values = [result.figures[figure.name] for result in results if figure.name in result.figures]
        if values:
            figures[figure.name] = sum(values) if figure.merge == "sum" else max(values)
    return Merged(
        arrivals,
        answers,
        lost,
        dict(errors),
        dict(retried),
        sum(result.reconnects for result in results),
        figures,
        whole,
        kinds,
        _points(plan, results, measured_s),
        Generator(
            saturation([result.seconds for result in results], given_up),
            latency_of(_histogram(result.late for result in results)),
            given_up,
            max((second.cpu_share for result in results for second in result.seconds), default=0.0),
        ),
    )


def verdicts_of(thresholds: Iterable[Threshold], merged: Merged) -> list[Verdict]:
    def percentile(histogram: HdrHistogram) -> Callable[[float], float]:
        return lambda percent: float(histogram.get_value_at_percentile(percent)) / 1000

    histograms: dict[str | None, HdrHistogram] = {None: merged.histogram}
    histograms.update(merged.kinds)
    percentiles = {kind: percentile(h) for kind, h in histograms.items() if h.get_total_count()}
    means = {kind: h.get_mean_value() / 1000 for kind, h in histograms.items() if h.get_total_count()}
    return [judge(threshold, merged.figures, percentiles, means) for threshold in thresholds]


def check_threshold(threshold: Threshold, scenario: Scenario) -> None:
    """Raises ``ValueError`` when the scenario has no such figure or kind, with those that it has."""
    names = (*COMMON_FIGURES, *(figure.name for figure in scenario.figures))
    if threshold.kind is not None and threshold.kind not in scenario.kinds:
        raise ValueError(
            f"{threshold.text!r}: {scenario.name} has latencies of the kinds {', '.join(scenario.kinds)}"
        )
    if threshold.percent is None and threshold.figure not in ("avg", "min", "med", "max", *names):
        raise ValueError(
            f"{threshold.text!r}: {scenario.name} has no figure {threshold.figure!r}; it has p(N), avg, min, "
            f"med, max (ms) and {', '.join(names)}"
        )


def latency_of(histogram: HdrHistogram) -> Latency:
    """Zeros when nothing was recorded."""
    count = histogram.get_total_count()
    if not count:
        return Latency(0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    values = [round(histogram.get_value_at_percentile(p) / 1000, 3) for p in (50, 90, 99, 99.9, 100)]
    return Latency(count, round(histogram.get_mean_value() / 1000, 3), *values)


def hgrm(histogram: HdrHistogram) -> str:
    """The percentile distribution in HdrHistogram's text format, in ms, for its plotters."""
    text = StringIO()

    class Bytes:
        def write(self, data: bytes | str) -> None:
            text.write(data.decode() if isinstance(data, bytes) else data)

    histogram.output_percentile_distribution(Bytes(), 1000.0)
    return text.getvalue()


def decoded(encoded: str) -> HdrHistogram:
    return HdrHistogram.decode(encoded)


def _histogram(parts: Iterable[str | None]) -> HdrHistogram:
    histogram = new_histogram()
    for part in parts:
        if part is not None:
            histogram.decode_and_add(part)
    return histogram


def _points(plan: Plan, results: Sequence[LoadResult], measured_s: float) -> list[Point]:
    width_s = slice_seconds(plan.measured_s)
    points = []
    for index, parts in enumerate(zip(*(result.slices for result in results), strict=True)):
        histogram = _histogram(part.latency for part in parts)
        is_empty = histogram.get_total_count() == 0
        began_s = index * width_s
        if began_s >= measured_s:
            break
        # The last one may be shorter.
        seconds = min(width_s, measured_s - began_s)
        points.append(
            Point(
                at_s=round(began_s + seconds / 2, 3),
                arrivals_per_s=round(sum(part.arrivals for part in parts) / seconds, 2),
                answers_per_s=round(sum(part.answers for part in parts) / seconds, 2),
                failures=sum(part.failures for part in parts),
                p50_ms=None if is_empty else histogram.get_value_at_percentile(50) / 1000,
                p99_ms=None if is_empty else histogram.get_value_at_percentile(99) / 1000,
            )
        )
    return points
