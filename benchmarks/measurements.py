"""What the bots of one process measure: latencies, acknowledgements, stalls, errors.

Owns the arithmetic and keeps the hot path to a few additions; merging processes and showing the
figures is ``report``'s.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

import msgspec
from hdrh.histogram import HdrHistogram

LATENCY_US_MAX = 600_000_000
STALL_NS_MIN = 50_000_000
"""Shorter pauses without an acknowledgement are not worth remembering."""


def new_histogram() -> HdrHistogram:
    """Microseconds from 1 to ten minutes, three significant digits."""
    return HdrHistogram(1, LATENCY_US_MAX, 3)


class Quantiles(NamedTuple):
    """Milliseconds."""

    p50_ms: float
    p99_ms: float
    max_ms: float


class Timing:
    """Times of one kind, in microseconds: exact until folded into a histogram, about once a second."""

    __slots__ = ("_counts", "histogram")

    def __init__(self) -> None:
        self.histogram = new_histogram()
        self._counts: dict[int, int] = {}

    def record(self, time_us: int, count: int = 1) -> None:
        counts = self._counts
        counts[time_us] = counts.get(time_us, 0) + count

    def fold(self) -> Quantiles:
        """Into the histogram; returns what came since the last call."""
        counts, self._counts = self._counts, {}
        fold_counts(counts, self.histogram)
        return Quantiles(
            _percentile(counts, 0.50) / 1000,
            _percentile(counts, 0.99) / 1000,
            max(counts, default=0) / 1000,
        )

    def encoded(self) -> str:
        """Everything so far, to cross the process boundary."""
        self.fold()
        return encoded_histogram(self.histogram)

    def drain(self) -> dict[int, int]:
        """What came since the last call, exactly: microseconds and how often. It counts for ``encoded``
        all the same."""
        counts, self._counts = self._counts, {}
        fold_counts(counts, self.histogram)
        return counts

    def take(self) -> str:
        """Encoded, what came since the last call; it counts for ``encoded`` all the same."""
        taken = new_histogram()
        fold_counts(self.drain(), taken)
        return encoded_histogram(taken)


def quantiles_of(encoded: Iterable[str]) -> Quantiles:
    """Of the times that several processes recorded, each ``Timing.encoded``; zeros when none did."""
    histogram = new_histogram()
    for part in encoded:
        histogram.decode_and_add(part)
    if histogram.get_total_count() == 0:
        return Quantiles(0.0, 0.0, 0.0)
    p50, p99, highest = (round(histogram.get_value_at_percentile(p) / 1000, 3) for p in (50, 99, 100))
    return Quantiles(p50, p99, highest)


class Stall(NamedTuple):
    """Nobody in the process was acknowledged between these two times (monotonic ns)."""

    begin_ns: int
    end_ns: int


class Second(NamedTuple):
    """What happened since the last look."""

    commands: int
    events: int
    p50_ms: float
    p99_ms: float


class Status(msgspec.Struct):
    """One process's second, and its totals."""

    second: Second
    errors: int
    reconnects: int
    acknowledged: int


class Measurements:
    """One process's figures. ``clock_ns`` values are ``time.monotonic_ns``'s, equal in all processes."""

    def __init__(self) -> None:
        self.acknowledged = 0
        self.errors: Counter[str] = Counter()
        """Final errors by code: these fail the run."""
        self.refused: Counter[str] = Counter()
        """Refusals that belong to the game, such as a streak claimed twice."""
        self.retried: Counter[str] = Counter()
        """Retryable errors by code; the command was sent again under its id."""
        self.unsupported: Counter[str] = Counter()
        """Commands of the journey that the server does not know."""
        self.reconnects = 0
        self.resumes_asked_for = 0
        self.connect_failures = 0
        self.resent = 0
        self.answers_unmatched = 0
        """Answers to nothing: normal after a resend, when both were answered."""
        self.players_broke = 0
        self.unanswered = 0
        self.close_codes: Counter[int] = Counter()
        self.stalls: list[Stall] = []
        self.latencies_us: dict[int, int] = {}
        """Since the last look, exact; the hot path adds here."""
        self.histogram = new_histogram()
        self.last_acknowledged_ns = 0
        self._counted_commands = 0
        self._counted_events = 0

    def start(self, now_ns: int) -> None:
        """The measured time begins."""
        self.last_acknowledged_ns = now_ns

    def acknowledge(self, now_ns: int, latency_us: int) -> None:
        """A command was answered with its result."""
        self.acknowledged += 1
        pause = now_ns - self.last_acknowledged_ns
        if pause > STALL_NS_MIN:
            self.stalls.append(Stall(self.last_acknowledged_ns, now_ns))
        self.last_acknowledged_ns = now_ns
        latencies = self.latencies_us
        latencies[latency_us] = latencies.get(latency_us, 0) + 1

    def finish(self, now_ns: int) -> None:
        """The measured time ends: an outage that lasts until here counts, too."""
        if now_ns - self.last_acknowledged_ns > STALL_NS_MIN:
            self.stalls.append(Stall(self.last_acknowledged_ns, now_ns))

    def roll(self, events: int) -> Second:
        """Fold the exact latencies into the histogram, and sum up what came since the last call."""
        latencies, self.latencies_us = self.latencies_us, {}
        fold_counts(latencies, self.histogram)
        second = Second(
            self.acknowledged - self._counted_commands,
            events - self._counted_events,
            _percentile(latencies, 0.50) / 1000,
            _percentile(latencies, 0.99) / 1000,
        )
        self._counted_commands = self.acknowledged
        self._counted_events = events
        return second


def encoded_histogram(histogram: HdrHistogram) -> str:
    """To cross the process boundary; ``decode_and_add`` reads it."""
    return str(histogram.encode().decode("ascii"))


def fold_counts(counts: dict[int, int], histogram: HdrHistogram) -> None:
    """Add times in microseconds, each so often; those out of range at its edge."""
    for time_us, count in counts.items():
        histogram.record_value(min(max(time_us, 1), LATENCY_US_MAX), count)


def _percentile(counts: dict[int, int], share: float) -> float:
    wanted = share * sum(counts.values())
    passed = 0
    for value in sorted(counts):
        passed += counts[value]
        if passed >= wanted:
            return float(value)
    return 0.0


def common_stalls(processes: list[list[Stall]]) -> list[Stall]:
    """The times when no process was acknowledged: the intersection of their stalls, in order."""
    if not processes:
        return []
    common = sorted(processes[0])
    for other in processes[1:]:
        common = _intersect(common, sorted(other))
    return common


def _intersect(left: list[Stall], right: list[Stall]) -> list[Stall]:
    found: list[Stall] = []
    i = j = 0
    while i < len(left) and j < len(right):
        begin = max(left[i].begin_ns, right[j].begin_ns)
        end = min(left[i].end_ns, right[j].end_ns)
        if begin < end:
            found.append(Stall(begin, end))
        if left[i].end_ns < right[j].end_ns:
            i += 1
        else:
            j += 1
    return found
