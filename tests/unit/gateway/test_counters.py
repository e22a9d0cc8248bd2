"""Counters are plain numbers."""

from __future__ import annotations

from gateway.counters import LAG_BOUNDS_MS, Counters, LagHistogram


def test_lag_buckets() -> None:
    lag = LagHistogram()
    for observed in (-5, 0, 1, 2, 3, 10_000, 10_001):
        lag.observe(observed)
    assert lag.counts[:3] == [3, 1, 1]
    assert lag.counts[-2:] == [1, 1]
    assert len(lag.counts) == len(LAG_BOUNDS_MS) + 1
    assert lag.total_ms == 0 + 1 + 2 + 3 + 10_000 + 10_001


def test_open_connections() -> None:
    counters = Counters()
    counters.connections_opened += 3
    counters.connections_closed += 1
    assert counters.connections_open == 2
