"""What a gateway process counts, as plain integers. Exported as metrics elsewhere.

Nothing here carries a user or an actor id.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter

LAG_BOUNDS_MS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000)


class LagHistogram:
    """Counts per bucket: ``counts[i]`` are those up to ``LAG_BOUNDS_MS[i]``, the last all others."""

    def __init__(self) -> None:
        self.counts = [0] * (len(LAG_BOUNDS_MS) + 1)
        self.total_ms = 0

    def observe(self, lag_ms: int) -> None:
        self.counts[bisect_left(LAG_BOUNDS_MS, lag_ms)] += 1
        self.total_ms += max(0, lag_ms)


class Counters:
    """Totals since the process started."""

    def __init__(self) -> None:
        self.connections_opened = 0
        self.connections_closed = 0
        self.handshakes_refused = 0
        self.messages_received = 0
        self.commands_submitted = 0
        self.results_sent = 0
        self.events_sent = 0
        """Deliveries: an event that reached two sockets counts twice."""
        self.pushes_encoded = 0
        self.reattaches = 0
        self.topic_events_sent = 0
        """Deliveries of a topic's views, events and ticks."""
        self.topic_ticks_replaced = 0
        """Ticks a slow socket never got, because a newer one, or an event, took their place."""
        self.topic_attaches = 0
        """Times a topic's actor was asked for its view, or for what was missed."""
        self.event_lag = LagHistogram()
        """From a turn's time to its events' encoding here, per push."""
        self.errors_sent: Counter[str] = Counter()
        """By error code."""
        self.closes_sent: Counter[int] = Counter()
        """By close code."""

    @property
    def connections_open(self) -> int:
        return self.connections_opened - self.connections_closed
