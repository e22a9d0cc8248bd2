"""What is shown of a measurement; the measurements themselves are replaced."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.compare import alone
from benchmarks.compare.pairing import Spread
from benchmarks.measures.growth import Growth, GrowthPoint
from benchmarks.measures.memory import Memory
from benchmarks.measures.recovery import Recovery
from benchmarks.measures.round_trip import RoundTrip
from tests.unit.benchmarks.compare.test_row import a_bench


def gives(monkeypatch: pytest.MonkeyPatch, name: str, found: object) -> list[dict[str, Any]]:
    asked: list[dict[str, Any]] = []

    async def measure(report: object, **sizes: Any) -> object:
        asked.append(sizes)
        return found

    monkeypatch.setattr(alone, name, measure)
    return asked


async def test_a_round_trip_beside_its_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    gives(
        monkeypatch,
        "round_trip",
        RoundTrip(casino_p50_ms=0.6, echo_p50_ms=0.1, hop_p50_ms=0.1, commit_p50_ms=0.2),
    )
    found = await alone.parts_of_a_round_trip(a_bench())
    assert found.values[alone.BESIDE_PARTS].value == pytest.approx(1.5)
    assert [bar.value for bar in found.bars[0].figures][1:4] == [0.1, 0.1, 0.2]


async def test_the_dearest_session_counts_and_is_measured_once(monkeypatch: pytest.MonkeyPatch) -> None:
    memory = Memory(
        bytes_per_resident_session={1_000: 5_120.0, 10_000: 3_072.0},
        bytes_per_idle_connection=10_240.0,
        bytes_per_subscription=512.0,
        sessions_per_gib=350_000.0,
    )
    asked = gives(monkeypatch, "memory", memory)
    bench = a_bench()
    await alone.memory_of_casino(bench)
    found = await alone.memory_row(bench)
    assert found.values == {alone.SESSION: Spread(5.0), alone.CONNECTION: Spread(10.0)}
    assert asked == [{"sessions": (1_000,), "connections": 500}]


async def test_recovery(monkeypatch: pytest.MonkeyPatch) -> None:
    gives(
        monkeypatch,
        "recovery",
        Recovery(
            all_answered_s=4.0,
            first_answer_p50_s=1.0,
            first_answer_p99_s=3.0,
            sessions=500,
            host_sessions=251,
        ),
    )
    found = await alone.recovery_row(a_bench())
    assert found.values == {alone.ALL_ANSWERED: Spread(4.0), alone.FIRST_ANSWER: Spread(1.0)}


async def test_growth(monkeypatch: pytest.MonkeyPatch) -> None:
    points = [
        GrowthPoint(500, 1, 100.0, 900.0),
        GrowthPoint(3_000, 1, 110.0, 880.0),
        GrowthPoint(500, 4, 130.0, 800.0),
    ]
    gives(monkeypatch, "growth", Growth(points=points, ratio=1.1))
    found = await alone.growth_row(a_bench())
    assert found.values == {alone.GROWTH: Spread(1.1)}
    assert [(point.size, point.series) for point in found.curves[0].points] == [
        (500, "1 host"),
        (3_000, "1 host"),
        (500, "4 hosts"),
    ]
