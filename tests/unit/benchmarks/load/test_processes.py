import os
import socket
import subprocess
import sys

import pytest

from benchmarks.load.processes import LOAD, Processes, role_of, server_roots
from benchmarks.load.target import Target

BUSY = "x = 0\nwhile True: x += 1"


@pytest.mark.parametrize(
    ("command", "role"),
    [
        (["ray::SessionHost"], "session host"),
        (["ray::GatewayProcess"], "gateway"),
        (["ray::crash-main round 7"], "crash table"),
        (["ray::Coordinator"], "coordinator"),
        (["ray::IDLE"], "other actors"),
        (["/x/ray/core/src/ray/raylet/raylet", "--a"], "Ray"),
        (["/x/python", "/x/bin/casino up"], "launcher"),
        (["/x/bin/postgres", "-D", "d"], "Postgres"),
        (["/x/python", "-u", "/y/rowlock.py", "8000"], "rowlock"),
        (["/x/python", "-m", "benchmarks.baselines.echo"], "echo"),
        ([], "name"),
    ],
)
def test_roles(command: list[str], role: str) -> None:

    assert role_of(command, "name") == role


def test_what_a_server_uses_is_its_own() -> None:
    server = subprocess.Popen([sys.executable, "-c", BUSY])
    load = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        processes = Processes([server.pid])
        assert processes.is_seen
        processes.sample(100.0)
        used, now_s = 0.0, 100.0
        while not used:
            now_s += 1.0
            used = max(usage.cpu_share for usage in processes.sample(now_s) if usage.role != LOAD)
        roles = {usage.role for usage in processes.sample(now_s + 1.0)}
        assert LOAD in roles
        assert len(roles) == 2
        private = processes.private_bytes()
        assert LOAD not in private
        assert all(size > 100_000 for size in private.values())
    finally:
        for process in (server, load):
            process.kill()
            process.wait()
    processes.sample(now_s + 2.0)
    assert processes.private_bytes() == {}


def test_the_server_is_found_by_its_port() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        assert server_roots(Target(url=f"http://127.0.0.1:{port}", name="x")) == [os.getpid()]
    assert server_roots(Target(url=f"http://127.0.0.1:{port}", name="x")) == []
    assert server_roots(Target(url="http://casino.example:80", name="x")) == []
    assert server_roots(Target(url="http://casino.example:80", name="x", pid=7)) == [7]
