"""Whose turn it is when two are compared, and what their pairs say. Pure.

Two slices that follow each other closely see the same machine; so what counts is the ratio within a
pair, and of several pairs the median. The order alternates, A B B A, so that a drift of the machine is
for neither.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import median

import msgspec

RATE, P50, P99 = "rate", "p50_ms", "p99_ms"
"""Figures of a slice: answers per second, and latencies."""


class Slice(msgspec.Struct, frozen=True):
    """One server under load for a few seconds."""

    server: str
    figures: dict[str, float]
    limited_by: list[str] = []
    """Why the load generator was the limit, if it was: the server can then do more."""


class Pair(msgspec.Struct, frozen=True):
    """Two slices, in the order in which they were taken."""

    slices: tuple[Slice, Slice]

    def of(self, server: str) -> Slice:
        """Raises ``KeyError`` when it is not one of the two."""
        for taken in self.slices:
            if taken.server == server:
                return taken
        raise KeyError(server)


class Spread(msgspec.Struct, frozen=True):
    """A median, and the least and the greatest it is the median of; None for a single measurement."""

    value: float
    low: float | None = None
    high: float | None = None


def turns(first: str, second: str, pairs: int) -> list[tuple[str, str]]:
    """A B, B A, A B …"""
    return [(first, second) if number % 2 == 0 else (second, first) for number in range(pairs)]


def spread(values: Sequence[float]) -> Spread:
    """Raises ``ValueError`` when there are none."""
    if not values:
        raise ValueError("nothing was measured")
    if len(values) == 1:
        return Spread(values[0])
    return Spread(float(median(values)), min(values), max(values))


def figure(pairs: Iterable[Pair], server: str, name: str) -> Spread:
    """One server's, over all pairs. Raises ``ValueError`` when there are none."""
    return spread([pair.of(server).figures[name] for pair in pairs])


def ratio(pairs: Iterable[Pair], name: str, of: str, to: str) -> Spread:
    """The median of the pairs' ratios. Raises ``ValueError`` when there is none."""
    values = []
    for pair in pairs:
        below = pair.of(to).figures[name]
        if below <= 0:
            raise ValueError(f"{to} has no {name} to compare with")
        values.append(pair.of(of).figures[name] / below)
    return spread(values)
