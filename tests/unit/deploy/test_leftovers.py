import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from deploy import leftovers
from deploy.leftovers import clear_leftovers, is_ray_in

DIRECTORY = Path("/tmp/casino-run-1/ray")
RAY = "/opt/casino/lib/python3.11/site-packages/ray"
SESSION = "/tmp/casino-run-1/ray/session_2026-01-01_00-00-00_1_1"


@pytest.mark.parametrize(
    "command",
    [
        [f"{RAY}/core/src/ray/raylet/raylet", f"--raylet_socket_name={SESSION}/sockets/raylet"],
        [f"{RAY}/core/src/ray/gcs/gcs_server", "--gcs_server_port=0", f"--session-dir={SESSION}"],
        ["/opt/casino/bin/python", f"{RAY}/dashboard/dashboard.py", "--port=1", f"--temp-dir={DIRECTORY}"],
        ["python3.11", "-u", f"{RAY}/_private/log_monitor.py", f"--logs-dir={SESSION}/logs"],
        ["python", "-u", f"{RAY}/autoscaler/_private/monitor.py", "--logs-dir", f"{SESSION}/logs"],
        ["python", f"{RAY}/_private/workers/default_worker.py", f"--temp-dir={DIRECTORY}"],
        ["python", "-m", "ray.dashboard.dashboard", f"--temp-dir={DIRECTORY}"],
    ],
)
def test_servers_of_ray_in_this_directory_are_recognised(command: list[str]) -> None:
    assert is_ray_in(command, DIRECTORY)


@pytest.mark.parametrize(
    "command",
    [
        [],
        [""],
        ["tail", "-f", f"{SESSION}/logs/raylet.out"],
        ["vim", f"{DIRECTORY}"],
        ["bash", "-c", f"ls {DIRECTORY}"],
        ["/usr/bin/python3", "/home/me/analyse.py", f"--temp-dir={DIRECTORY}"],
        ["python", "/home/me/ray/report.py", f"--session-dir={SESSION}"],
        ["python", "-c", f"open('{SESSION}/logs/raylet.out')"],
        ["python", "-m", "rayon", f"--temp-dir={DIRECTORY}"],
        ["/opt/casino/bin/python", "/opt/casino/bin/casino", "up", "--data", "/tmp/casino-run-1"],
        [f"{RAY}/core/src/ray/raylet/raylet", "--session-dir=/tmp/casino-run-1/ray2/session_2026"],
        [f"{RAY}/core/src/ray/raylet/raylet", "--session-dir=/tmp/casino-run-10/ray/session_2026"],
        [f"{RAY}/core/src/ray/raylet/raylet", f"--session-dir=/mnt{SESSION}"],
        [f"{RAY}/core/src/ray/gcs/gcs_server", "--session-dir=/tmp/ray/session_2026"],
        ["ray::SessionHost"],
    ],
)
def test_everything_else_is_left_alone(command: list[str]) -> None:
    assert not is_ray_in(command, DIRECTORY)


class Process:
    def __init__(
        self, pid: int, command: list[str] | None, uid: int | None, error: Exception | None = None
    ) -> None:
        self.pid = pid
        self.info = {"cmdline": command, "uids": None if uid is None else SimpleNamespace(real=uid)}
        self.offspring: list[Process] = []
        self.error = error
        self.killed = False

    def children(self, recursive: bool) -> list[Any]:
        assert recursive
        if self.error is not None:
            raise self.error
        return self.offspring

    def kill(self) -> None:
        if self.error is not None:
            raise self.error
        self.killed = True


def test_only_this_users_are_ended_and_their_workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine, other = os.getuid(), os.getuid() + 1
    raylet = ["raylet", f"--session-dir={tmp_path}/session_1"]
    head = Process(1, raylet, mine)
    worker = Process(2, ["ray::SessionHost"], mine)
    head.offspring = [worker, Process(os.getpid(), ["casino"], mine)]
    spared = [
        head.offspring[1],
        Process(3, raylet, other),
        Process(4, raylet, None),
        Process(5, None, mine),
        Process(6, ["tail", "-f", f"{tmp_path}/session_1/logs/x"], mine),
    ]
    refusing = [
        Process(7, raylet, mine, psutil.AccessDenied(7)),
        Process(8, raylet, mine, psutil.NoSuchProcess(8)),
    ]

    def processes(attributes: list[str]) -> Iterator[Process]:
        assert attributes == ["cmdline", "uids"]
        return iter([*refusing, head, worker, *spared])

    awaited: list[Process] = []
    monkeypatch.setattr(leftovers.psutil, "process_iter", processes)
    monkeypatch.setattr(leftovers.psutil, "wait_procs", lambda left, timeout: awaited.extend(left))
    clear_leftovers(tmp_path)
    assert head.killed
    assert worker.killed
    assert not any(process.killed for process in spared)
    assert {process.pid for process in awaited} == {1, 2, 7, 8}


def test_a_reader_of_the_logs_survives(tmp_path: Path) -> None:
    log = tmp_path / "session_1" / "logs" / "x"
    log.parent.mkdir(parents=True)
    log.touch()
    reader = psutil.Popen([sys.executable, "-c", "import time; time.sleep(60)", str(log)])
    try:
        clear_leftovers(tmp_path)
        assert reader.is_running()
        assert reader.poll() is None
    finally:
        reader.kill()
        reader.wait()


def test_old_sessions_are_forgotten(tmp_path: Path) -> None:
    for day in range(1, 6):
        (tmp_path / f"session_2026-01-0{day}" / "logs").mkdir(parents=True)
    clear_leftovers(tmp_path)
    assert sorted(path.name[-1] for path in tmp_path.iterdir()) == ["3", "4", "5"]
