"""Counters are plain numbers."""

from __future__ import annotations

from gateway.counters import Answered, Counters


def test_open_connections() -> None:
    counters = Counters()
    counters.connections_opened += 3
    counters.connections_closed += 1
    assert counters.connections_open == 2


def test_requests_are_counted_by_kind_and_timed_by_route() -> None:
    counters = Counters()
    counters.request_answered(Answered("GET", "/a", "2xx"), 0.003)
    counters.request_answered(Answered("GET", "/a", "4xx"), 0.003)
    counters.request_answered(Answered("POST", "/b", "2xx"), 0.3)
    assert sum(counters.requests.values()) == 3
    assert sum(counters.request_seconds["/a"].counts) == 2
    assert counters.request_seconds["/b"].total == 0.3
