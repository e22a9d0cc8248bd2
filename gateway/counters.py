"""What a gateway process counts, as plain numbers. Exported as metrics by ``gateway.metrics``.

Nothing here carries a user or an actor id, and no key comes from a client: commands are those of the
catalogue, codes those of the house, routes are templates.
"""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from runtime.metrics import Histogram

LAG_BOUNDS_MS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000)
LATENCY_BOUNDS_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.04, 0.1, 0.25, 0.4, 1.0, 2.5, 10.0)


class Answered(NamedTuple):
    """A kind of HTTP request that was answered."""

    method: str
    route: str
    """As it stands in the OpenAPI document."""
    status: str
    """``2xx`` and so on."""


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
        self.event_lag_ms = Histogram(LAG_BOUNDS_MS)
        """From a turn's time to its events' encoding here, per push."""
        self.commands_done: Counter[str] = Counter()
        """By name, through either door."""
        self.commands_failed: Counter[tuple[str, str]] = Counter()
        """By name and error code."""
        self.command_seconds = Histogram(LATENCY_BOUNDS_S)
        """From a command's arrival on a socket to its outcome."""
        self.errors_sent: Counter[str] = Counter()
        """On sockets, by error code."""
        self.closes_sent: Counter[int] = Counter()
        """By close code."""
        self.requests: Counter[Answered] = Counter()
        self.request_seconds: dict[str, Histogram] = {}
        """By route, to the head of the answer."""
        self.problems: Counter[str] = Counter()
        """HTTP errors by code."""
        self.logins_succeeded = 0
        self.logins_failed = 0
        """A password that was looked at and was wrong, or of nobody."""
        self.logins_locked = 0
        """Attempts at a password that nobody looked at, after too many wrong ones."""
        self.sign_ups = 0
        """Full accounts made."""

    @property
    def connections_open(self) -> int:
        return self.connections_opened - self.connections_closed

    def request_answered(self, answered: Answered, seconds: float) -> None:
        self.requests[answered] += 1
        seconds_of_route = self.request_seconds.get(answered.route)
        if seconds_of_route is None:
            seconds_of_route = self.request_seconds[answered.route] = Histogram(LATENCY_BOUNDS_S)
        seconds_of_route.observe(seconds)
