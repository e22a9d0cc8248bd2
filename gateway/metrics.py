"""``/metrics``: what a gateway process has counted, for Prometheus.

Reads the counters when it is asked; until then metrics cost nothing. Label values come from the house:
commands of the catalogue, error and close codes, routes. None names a user or an actor.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4 as CONTENT_TYPE

from gateway.counters import Counters
from gateway.tokens import TokenExpired, TokenInvalid, TokenRevoked, UserBanned
from runtime.metrics import Histogram

__all__ = ["CONTENT_TYPE", "GatewayMetrics"]

_REFUSED_TOKENS = (TokenInvalid.code, TokenExpired.code, TokenRevoked.code, UserBanned.code)


class GatewayMetrics:
    """The exposition of one process; ``text`` is the page."""

    def __init__(self, counters: Counters) -> None:
        self._counters = counters
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)
        ProcessCollector(registry=self._registry)

    def text(self) -> bytes:
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        """What prometheus-client asks of a collector."""
        yield from _sockets(self._counters)
        yield from _commands(self._counters)
        yield from _requests(self._counters)
        yield from _accounts(self._counters)


def _sockets(c: Counters) -> Iterator[Metric]:
    yield GaugeMetricFamily("ws_active_connections", "Sockets open", c.connections_open)
    yield _counter("ws_connections_opened", "Sockets opened", c.connections_opened)
    yield _counter("ws_handshakes_refused", "Opening handshakes refused", c.handshakes_refused)
    yield _counter("ws_messages_received", "Messages of clients", c.messages_received)
    yield _counter("ws_events_sent", "Events of sessions, once per socket", c.events_sent)
    yield _counter("ws_topic_events_sent", "Events of topics, once per socket", c.topic_events_sent)
    yield _counter("ws_topic_ticks_replaced", "Ticks that slow readers were spared", c.topic_ticks_replaced)
    yield _counter("ws_reattaches", "Sockets that had to fetch missed events", c.reattaches)
    yield _by_label("ws_errors", "Errors sent on sockets", "code", c.errors_sent.items())
    closes = [(str(code), count) for code, count in c.closes_sent.items()]
    yield _by_label("ws_closes", "Sockets closed by the gateway", "code", closes)
    yield _histogram(
        "realtime_event_lag_ms", "From a turn to its events' encoding for sockets, ms", c.event_lag_ms
    )


def _commands(c: Counters) -> Iterator[Metric]:
    answered = CounterMetricFamily(
        "casino_commands", "Commands answered, through either door", labels=("command", "outcome")
    )
    for name, count in c.commands_done.items():
        answered.add_metric((name, "ok"), count)
    for (name, code), count in c.commands_failed.items():
        answered.add_metric((name, code), count)
    yield answered
    yield _histogram(
        "casino_command_duration_seconds", "From a command on a socket to its outcome", c.command_seconds
    )


def _requests(c: Counters) -> Iterator[Metric]:
    requests = CounterMetricFamily(
        "http_requests", "HTTP requests answered", labels=("method", "route", "status")
    )
    for answered, count in c.requests.items():
        requests.add_metric(answered, count)
    yield requests
    seconds = HistogramMetricFamily(
        "http_request_duration_seconds", "To the head of the answer", labels=("route",)
    )
    for route, histogram in c.request_seconds.items():
        seconds.add_metric((route,), histogram.cumulative(), histogram.total)
    yield seconds
    yield _by_label("http_problems", "HTTP errors", "code", c.problems.items())
    limited = [("http", c.problems["rate_limited"]), ("socket", c.errors_sent["rate_limited"])]
    yield _by_label("rate_limited", "Requests and messages over a rate", "door", limited)


def _accounts(c: Counters) -> Iterator[Metric]:
    yield _counter("auth_login_success", "Passwords that were right at a login", c.logins_succeeded)
    yield _counter("auth_login_failed", "Logins with a wrong name or password", c.logins_failed)
    yield _counter("auth_login_locked", "Attempts refused after too many wrong ones", c.logins_locked)
    yield _counter("auth_sign_ups", "Full accounts made", c.sign_ups)
    refused = [(code, c.problems[code] + c.errors_sent[code]) for code in _REFUSED_TOKENS]
    yield _by_label("auth_tokens_refused", "Access tokens refused, at either door", "code", refused)


def _counter(name: str, text: str, value: float) -> Metric:
    return CounterMetricFamily(name, text, value)


def _by_label(name: str, text: str, label: str, values: Iterable[tuple[str, float]]) -> Metric:
    family = CounterMetricFamily(name, text, labels=(label,))
    for value, count in values:
        family.add_metric((value,), count)
    return family


def _histogram(name: str, text: str, histogram: Histogram) -> Metric:
    return HistogramMetricFamily(name, text, histogram.cumulative(), histogram.total)
