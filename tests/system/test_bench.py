"""The load harness against a running casino, as a load tester types it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import msgspec
import pytest

from benchmarks.load.result import VERSION, Result
from tests.system.arena import CASINO, Arena

pytestmark = pytest.mark.system


def bench(arena: Arena, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(CASINO), "bench", *arguments, f"--url={arena.url}"],
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )


def test_spins_at_a_rate_leave_three_files(arena: Arena, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = bench(
        arena, "spin", "--rate=50/s", "--connections=5", "--duration=4s", "--warm-up=1s", "--processes=2",
        f"--out={out}", "--json",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    result = msgspec.json.decode((out / "result.json").read_bytes(), type=Result)
    assert msgspec.json.decode(done.stdout, type=Result) == result
    assert result.version == VERSION
    assert (result.arrivals, result.answers, result.lost, result.errors) == (200, 200, 0, {})
    assert result.latency.count == sum(point.arrivals_per_s for point in result.points) == 200
    assert result.machine.flush_p50_ms > 0
    roles = {usage.role for sample in result.samples for usage in sample.usage}
    assert {"gateway", "session host", "crash table", "Postgres", "load generator"} <= roles
    assert result.memory_after["session host"] > 0
    page = (out / "index.html").read_text()
    assert "200 commands were answered" in page
    assert "<script" not in page
    assert "Percentile" in (out / "latency.hgrm").read_text()


def test_a_crossed_threshold_is_told_by_the_exit_code(arena: Arena) -> None:
    done = bench(
        arena, "spin", "--closed=2", "--duration=1s", "--warm-up=0", "--threshold=rate>1000000",
        "--threshold=lost==0",
    )  # fmt: skip
    assert done.returncode == 99, done.stdout + done.stderr
    assert "✗ rate>1000000" in done.stdout
    assert "✓ lost==0" in done.stdout


def test_everybody_resumes_and_nothing_is_missing(arena: Arena) -> None:
    done = bench(arena, "resume", "--connections=10", "--duration=3s", "--warm-up=0", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    result = msgspec.json.decode(done.stdout, type=Result)
    assert result.figures["storms"] >= 1
    assert result.figures["missing"] == 0
    assert result.answers == result.arrivals
    assert result.reconnects >= 10
