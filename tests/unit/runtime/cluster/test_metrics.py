"""How figures are called in Ray's metrics, and what hosts are."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from runtime.cluster import metrics as metrics_module
from runtime.cluster.host_actor import metrics_label
from runtime.cluster.metrics import ProcessMetrics
from runtime.metrics import Histogram


class FakeGauge:
    values: dict[tuple[str, frozenset[tuple[str, str]]], float]

    def __init__(self, name: str, description: str, tag_keys: tuple[str, ...]) -> None:
        assert description
        self._name = name
        self._tag_keys = set(tag_keys)

    def set(self, value: float, tags: dict[str, str]) -> None:
        assert tags.keys() == self._tag_keys
        self.values[self._name, frozenset(tags.items())] = value


@pytest.fixture
def values(monkeypatch: pytest.MonkeyPatch) -> dict[Any, float]:
    FakeGauge.values = {}
    monkeypatch.setattr(metrics_module, "Gauge", FakeGauge)
    return FakeGauge.values


def test_numbers(values: dict[Any, float]) -> None:
    metrics = ProcessMetrics("relay", "event-relay")
    metrics.set({"lag_seconds": 0.2, "turns_total": 7})
    metrics.set({"lag_seconds": 0.1, "turns_total": 9})
    tags = frozenset({("process", "event-relay")})
    assert values == {("casino_relay_lag_seconds", tags): 0.1, ("casino_relay_turns_total", tags): 9}


def test_histograms(values: dict[Any, float]) -> None:
    latency = Histogram((0.01, 0.1))
    for seconds in (0.005, 0.05, 0.5):
        latency.observe(seconds)
    ProcessMetrics("host", "session-host-0").set({"commit_seconds": latency})
    by_bound = {dict(tags)["le"]: value for (name, tags), value in values.items() if name.endswith("_bucket")}
    assert by_bound == {"0.01": 1, "0.1": 2, "+Inf": 3}
    tags = frozenset({("process", "session-host-0")})
    assert values["casino_host_commit_seconds_count", tags] == 3
    assert values["casino_host_commit_seconds_sum", tags] == pytest.approx(0.555)


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("session-host-12", "session-host-12"),
        ("crash-main", "crash-main"),
        ("session-u_mfrggzdfmztwq2lk", "dedicated"),
        ("session-host-u_1", "dedicated"),
    ],
)
def test_no_host_is_called_after_a_player(name: str, label: str) -> None:
    wiring: Any = SimpleNamespace(always_on=lambda: {"crash": ["main"]})
    assert metrics_label(name, wiring) == label
