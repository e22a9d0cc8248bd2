"""What processes count, as plain numbers. Exported elsewhere: the core knows no metrics system."""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Mapping, Sequence

COMMIT_SECONDS_BOUNDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0)
COMMIT_TURNS_BOUNDS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)


class Histogram:
    """``counts[i]`` are the values up to ``bounds[i]``, and above the bound before; the last all others."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total: float = 0
        """Sum of all values; those below 0 count as 0."""

    def observe(self, value: float) -> None:
        self.counts[bisect_left(self.bounds, value)] += 1
        if value > 0:
            self.total += value

    def cumulative(self) -> list[tuple[str, int]]:
        """``(bound, how many are not above it)`` for each bound, the last of which is ``+Inf``: the
        buckets of Prometheus."""
        below = 0
        buckets = []
        for bound, count in zip([*map(str, map(float, self.bounds)), "+Inf"], self.counts, strict=True):
            below += count
            buckets.append((bound, below))
        return buckets


class Rates:
    """How fast totals grow, from samples taken now and then; over the last few of them."""

    def __init__(self, samples_max: int = 6) -> None:
        self._samples: deque[tuple[float, Mapping[str, float]]] = deque(maxlen=samples_max)

    def sample(self, now_s: float, totals: Mapping[str, float]) -> dict[str, float]:
        """Growth per second of each total since the oldest sample kept; 0 for the first one."""
        self._samples.append((now_s, dict(totals)))
        began_s, before = self._samples[0]
        elapsed_s = now_s - began_s
        if elapsed_s <= 0:
            return dict.fromkeys(totals, 0.0)
        return {name: round((total - before.get(name, 0)) / elapsed_s, 3) for name, total in totals.items()}
