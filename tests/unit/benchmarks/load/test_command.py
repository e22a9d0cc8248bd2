"""``casino bench`` as a person types it, in processes of its own, against a casino without rules."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import psutil
import pytest

from benchmarks.load.command import CROSSED, FAULT
from benchmarks.load.result import Result

ROOT = Path(__file__).parents[4]
SCRIPT = "from benchmarks.load.command import bench; bench(prog_name='casino bench')"
QUICK = ("--duration=1s", "--warm-up=200ms", "--connections=3")


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-c", SCRIPT, *arguments]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"}
    return subprocess.run(
        command(*arguments), env=environment, capture_output=True, text=True, timeout=100, check=False
    )


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    server = subprocess.Popen(
        [sys.executable, str(ROOT / "tests/unit/benchmarks/fake_casino.py")],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert server.stdout is not None
    try:
        yield server.stdout.readline().strip()
    finally:
        server.kill()
        server.wait()
        server.stdout.close()


def test_passed_with_three_files(url: str, tmp_path: Path) -> None:
    out = tmp_path / "new" / "out"
    done = run("spin", "--url", url, "--rate=60/s", *QUICK, "--processes=2", "--poisson", "--seed=4",
               "--out", str(out))  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "✓ lost==0" in done.stdout
    assert done.stderr == "", "quiet where nobody looks on"
    result = msgspec.json.decode((out / "result.json").read_bytes(), type=Result)
    assert result.answers == result.arrivals > 20
    assert result.plan.processes == len(result.plan.stages) == 2
    assert {"index.html", "latency.hgrm", "result.json"} == {file.name for file in out.iterdir()}


def test_crossed(url: str) -> None:
    done = run(
        "spin", "--url", url, "--closed=2", "--duration=500ms", "--warm-up=0", "--threshold=rate<1", "--json"
    )
    assert done.returncode == CROSSED, done.stdout + done.stderr
    result = msgspec.json.decode(done.stdout, type=Result)
    assert not result.ok
    assert result.answers > 10


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["spinn"], "No such command 'spinn'"),
        (["spin", "--url=http://127.0.0.1:9"], "nobody answers at 127.0.0.1:9"),
        (["spin", "--url=gopher://x"], "not the address of a casino"),
        (["spin", "--rate=9000000/s"], "--processes 450"),
        (["spin", "--rate=0"], "not a rate"),
        (["spin", "--rate=many"], "not a rate"),
        (["spin", "--stages=30s"], "not a stage"),
        (["spin", "--duration=soon"], "not a duration"),
        (["spin", "--threshold=p99<5"], "has no figure 'p99'"),
        (["spin", "--threshold=p(99)"], "not a threshold"),
        (["spin", "--closed=5", "--rate=5"], "leave out --rate"),
        (["crash", "--rate=5"], "pace of its own"),
        (["spin", "--connections=0"], "--connections"),
        (["spin", "--out=/dev/null/x"], "/dev/null"),
    ],
)
def test_faults_say_what_to_do(arguments: list[str], said: str) -> None:
    done = run(*arguments)
    assert done.returncode == FAULT, done.stdout + done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def is_under_load(process: psutil.Process) -> bool:
    return any(has_connected(child) for child in process.children())


def has_connected(process: psutil.Process) -> bool:
    try:
        return any(
            connection.status == psutil.CONN_ESTABLISHED for connection in process.net_connections("tcp")
        )
    except psutil.NoSuchProcess:  # a passing helper, which went while it was looked at
        return False


def test_ctrl_c_ends_it_early_with_a_result(url: str) -> None:
    with subprocess.Popen(
        command("spin", "--url", url, "--rate=50/s", "--duration=1h", "--connections=2", "--json"),
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    ) as running:
        while running.poll() is None and not is_under_load(psutil.Process(running.pid)):
            time.sleep(0.05)
        running.send_signal(signal.SIGINT)
        out, _ = running.communicate(timeout=60)
    result = msgspec.json.decode(out, type=Result)
    assert result.interrupted
    # It may have been too early for a first answer, which no threshold takes for a success.
    assert running.returncode == (0 if result.answers else CROSSED)


def test_each_scenario_tells_its_own_defaults() -> None:
    shown = run("resume", "--help")
    assert shown.returncode == 0
    for said in ("--url", "--stages", "--closed", "--threshold", "missing==0", "--out", "--json"):
        assert said in shown.stdout
