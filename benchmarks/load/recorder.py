"""What one generator measures: latencies by kind and over time, answers over time, failures.

Owns the arithmetic, cheap on the hot path and bounded for any length of run: time is cut into at most
``SLICES_MAX`` slices. Nothing before the warm-up's end counts.
"""

from __future__ import annotations

from collections import Counter

import msgspec
from hdrh.histogram import HdrHistogram

from benchmarks.measurements import Timing, encoded_histogram, fold_counts, new_histogram

SLICES_MAX = 240
_NS = 1_000_000_000


class Slice(msgspec.Struct):
    """``arrivals`` and ``latency`` (an encoded histogram, µs) of what was due in it; ``answers`` came in
    it."""

    arrivals: int
    answers: int
    failures: int
    latency: str | None


def slice_seconds(seconds: float) -> float:
    """How long a slice of a run of so many seconds is: 1, or more for a long run."""
    return max(1.0, seconds / SLICES_MAX)


class Recorder:
    """``intended_ns`` and ``now_ns`` are ``time.monotonic_ns``'s. What was due before ``began_ns`` (that
    is the warm-up) or after the end is not counted at all."""

    def __init__(self, began_ns: int, seconds: float) -> None:
        self.began_ns = began_ns
        self.arrivals = 0
        self.answers = 0
        self.errors: Counter[str] = Counter()
        """Final refusals and failures by code, of what was due in the measured time."""
        self.kinds: dict[str, Timing] = {}
        self._slice_ns = int(slice_seconds(seconds) * _NS)
        self._end_ns = began_ns + int(seconds * _NS)
        slices = max(1, -(-int(seconds * _NS) // self._slice_ns))
        self._arrivals = [0] * slices
        self._answers = [0] * slices
        self._failures = [0] * slices
        self._fresh: dict[int, dict[int, int]] = {}
        self._histograms: list[HdrHistogram | None] = [None] * slices

    def counts(self, intended_ns: int) -> bool:
        """Whether what is due at this time is measured."""
        return self.began_ns <= intended_ns < self._end_ns

    def arrived(self, intended_ns: int) -> None:
        if self.counts(intended_ns):
            self.arrivals += 1
            self._arrivals[(intended_ns - self.began_ns) // self._slice_ns] += 1

    def answered(self, kind: str, intended_ns: int, now_ns: int) -> None:
        if not self.counts(intended_ns):
            return
        self.answers += 1
        took_us = (now_ns - intended_ns) // 1000
        timing = self.kinds.get(kind)
        if timing is None:
            timing = self.kinds[kind] = Timing()
        timing.record(took_us)
        index = (intended_ns - self.began_ns) // self._slice_ns
        fresh = self._fresh.get(index)
        if fresh is None:
            fresh = self._fresh[index] = {}
        fresh[took_us] = fresh.get(took_us, 0) + 1
        if now_ns < self._end_ns:
            self._answers[(now_ns - self.began_ns) // self._slice_ns] += 1

    def heard(self, kind: str, counts_us: dict[int, int], now_ns: int, is_apart: bool = False) -> None:
        """Times that were taken elsewhere in about the last second: microseconds and how often. Those
        that are ``apart`` are of another nature, and count for their kind alone."""
        if not self.counts(now_ns):
            return
        timing = self.kinds.setdefault(kind, Timing())
        for time_us, count in counts_us.items():
            timing.record(time_us, count)
        if is_apart:
            return
        index = (now_ns - self.began_ns) // self._slice_ns
        total = sum(counts_us.values())
        fresh = self._fresh.setdefault(index, {})
        for time_us, count in counts_us.items():
            fresh[time_us] = fresh.get(time_us, 0) + count
        self.answers += total
        self.arrivals += total
        self._answers[index] += total
        self._arrivals[index] += total

    def failed(self, code: str, intended_ns: int) -> None:
        if self.counts(intended_ns):
            self.errors[code] += 1
            self._failures[(intended_ns - self.began_ns) // self._slice_ns] += 1

    def fold(self) -> None:
        """Move what was recorded into histograms; call about once a second, so that memory is bounded."""
        for timing in self.kinds.values():
            timing.fold()
        fresh, self._fresh = self._fresh, {}
        for index, counts in fresh.items():
            histogram = self._histograms[index]
            if histogram is None:
                histogram = self._histograms[index] = new_histogram()
            fold_counts(counts, histogram)

    def slices(self) -> list[Slice]:
        """Everything so far, over time; to cross the process boundary."""
        self.fold()
        return [
            Slice(arrivals, answers, failures, None if latency is None else encoded_histogram(latency))
            for arrivals, answers, failures, latency in zip(
                self._arrivals, self._answers, self._failures, self._histograms, strict=True
            )
        ]
