"""Which arrivals are due, and how late their generator is.

Pure: it is told the time. The queue of those that are due and not begun is bounded: a generator that
falls too far behind gives arrivals up and counts them, so that it never pretends to keep a rate.
"""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.measurements import Quantiles, Timing

BEHIND_NS_MAX = 5_000_000_000
"""An arrival that could not be begun for so long is given up."""

_TURN_MAX = 256
"""Arrivals begun in one turn of the event loop, so that answers are read in between."""


class Pacer:
    """``due`` hands out intended times, each once; latency counts from them."""

    def __init__(self, arrivals: Iterator[int], began_ns: int) -> None:
        """``arrivals``: nanoseconds after ``began_ns``, in order."""
        self.begun = 0
        self.given_up = 0
        """Arrivals that this generator could not begin in time."""
        self.late = Timing()
        """From when an arrival was due to when it was begun: the generator's own share of its latency."""
        self._arrivals = arrivals
        self._began_ns = began_ns
        self._next = next(arrivals, None)

    @property
    def next_ns(self) -> int | None:
        """When the next arrival is due, on the clock of ``began_ns``; None: there are no more."""
        return None if self._next is None else self._began_ns + self._next

    def due(self, now_ns: int) -> list[int]:
        """The intended times of those to begin now, oldest first, at most so many as fit in a turn; ask
        again when ``next_ns`` is not after now."""
        found: list[int] = []
        while self._next is not None and len(found) < _TURN_MAX:
            intended_ns = self._began_ns + self._next
            if intended_ns > now_ns:
                break
            self._next = next(self._arrivals, None)
            late_ns = now_ns - intended_ns
            self.late.record(late_ns // 1000)
            if late_ns > BEHIND_NS_MAX:
                self.given_up += 1
            else:
                found.append(intended_ns)
        self.begun += len(found)
        return found

    def fold(self) -> Quantiles:
        """How late those were that came since the last call."""
        return self.late.fold()
