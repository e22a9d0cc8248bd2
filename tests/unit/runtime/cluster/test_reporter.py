"""Telling of a process: figures to the metrics, numbers to the board, whatever is away."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from runtime.clock import SystemClock
from runtime.cluster import reporter as reporter_module
from runtime.cluster.reporter import Figures, Reporter
from runtime.metrics import Histogram


class FakeBoard:
    def __init__(self) -> None:
        self.said: list[tuple[str, Mapping[str, Any]]] = []
        self.is_away = False
        self.is_closed = False

    async def write(self, process: str, status: Mapping[str, Any]) -> None:
        if self.is_away:
            raise RuntimeError("away")
        self.said.append((process, status))

    async def close(self) -> None:
        self.is_closed = True


class FakeMetrics:
    def __init__(self) -> None:
        self.sets: list[Figures] = []

    def set(self, figures: Figures) -> None:
        self.sets.append(figures)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reporter_module, "_INTERVAL_S", 0.02)


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not holds():
            await asyncio.sleep(0.005)


async def test_a_process_says_how_it_is() -> None:
    board, metrics, turns = FakeBoard(), FakeMetrics(), [0]
    latency = Histogram((1,))

    def figures() -> Figures:
        turns[0] += 10
        return {"activations": 3, "turns_total": turns[0], "commit_seconds": latency}

    reporter = Reporter(
        "session-host-0", "host", figures, board, SystemClock(), metrics, lambda: {"phase": "betting"}
    )
    reporter.start()
    await until(lambda: len(board.said) >= 3)
    await reporter.stop()
    assert board.is_closed
    process, status = board.said[2]
    assert process == "session-host-0"
    assert status.keys() == {
        "kind", "at_ms", "activations", "turns_total", "turns_per_s", "loop_lag_seconds", "phase",
    }  # fmt: skip
    assert (status["kind"], status["activations"], status["turns_total"]) == ("host", 3, 30)
    assert status["turns_per_s"] > 0
    assert metrics.sets[0]["commit_seconds"] is latency
    assert metrics.sets[0]["turns_total"] == 10


async def test_without_the_board_metrics_go_on_and_the_log_says_it_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    board, metrics = FakeBoard(), FakeMetrics()
    board.is_away = True
    reporter = Reporter("gateway-0", "gateway", lambda: {"connections": 1}, board, SystemClock(), metrics)
    with caplog.at_level(logging.WARNING):
        reporter.start()
        await until(lambda: len(metrics.sets) >= 4)
        board.is_away = False
        await until(lambda: len(board.said) >= 1)
    await reporter.stop()
    assert [record.message for record in caplog.records] == ["the status board is away"]


async def test_a_defect_in_the_figures_ends_nothing(caplog: pytest.LogCaptureFixture) -> None:
    board, asked = FakeBoard(), [0]

    def figures() -> Figures:
        asked[0] += 1
        if asked[0] < 3:
            raise ZeroDivisionError
        return {}

    reporter = Reporter("gateway-0", "gateway", figures, board, SystemClock())
    with caplog.at_level(logging.CRITICAL):
        reporter.start()
        await until(lambda: len(board.said) >= 1)
    await reporter.stop()


async def test_a_loop_that_stood_still_shows() -> None:
    board = FakeBoard()
    reporter = Reporter("gateway-0", "gateway", dict, board, SystemClock())
    reporter.start()
    await asyncio.sleep(0.001)
    blocked_s = 0.3
    # What makes a loop late is just this.
    time.sleep(blocked_s)
    await until(lambda: len(board.said) >= 1)
    await reporter.stop()
    assert board.said[0][1]["loop_lag_seconds"] > blocked_s / 2
