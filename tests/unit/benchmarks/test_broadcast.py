import os
import subprocess
import sys
from pathlib import Path
from time import process_time

import pytest

from benchmarks.broadcast import NoServer, cpu_seconds, run_broadcast, serving_pids
from tests.unit.benchmarks.fake_casino import FakeCasino
from tests.unit.benchmarks.fake_table import FakeTable


def test_cpu_time_of_a_process() -> None:
    before = cpu_seconds([os.getpid()])
    until = process_time() + 0.05
    while process_time() < until:
        pass
    assert before < cpu_seconds([os.getpid()]) <= process_time() + 0.05
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        gone.wait()
    with pytest.raises(NoServer, match="gone"):
        cpu_seconds([gone.pid])


async def test_by_turns_and_whose_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.broadcast._SETTLE_S", 0.1)
    said: list[str] = []
    table = FakeTable(rounds=500, low=100, high=10**12, betting_s=0.1)
    async with FakeCasino(table=table) as casino:
        assert serving_pids(casino.url) == [os.getpid()]
        casino.open_table()
        report = await run_broadcast(
            casino.url, "main", 12, 0.5, cycles=2, processes=1, show=lambda _, text: said.append(text)
        )
    assert report.ok, report.failures
    assert (report.listening, report.connections) == (12, 12)
    assert report.bare_flooding.deliveries > report.bare_ticking.deliveries > 0
    assert report.bare_ticking.lag is not None
    assert report.bare_flooding.lag is None
    assert report.casino.ticks >= 100
    assert report.casino.deliveries >= 12 * 100
    assert report.casino.cpu_s > 0
    assert report.share > 0
    assert {line.partition(":")[0] for line in said[1:]} == {"bare tick", "bare flood", "casino"}
    assert said[0].startswith("connecting")


def test_nobody_listens() -> None:
    with pytest.raises(NoServer, match="port 9"):
        serving_pids("http://127.0.0.1:9")


def test_exit_codes() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.broadcast", "--url", "http://127.0.0.1:9", "--connections", "2"],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert "port 9" in done.stderr
