import json
import subprocess
from pathlib import Path

import pytest

from benchmarks.load.target import Target
from benchmarks.measures.server import (
    MeasureFailed,
    activations_in,
    check_resident,
    dsn_of,
    grown,
    members,
    pids_of,
    resident_sessions,
)

METRICS = """\
# HELP ray_casino_host_activations activations
# TYPE ray_casino_host_activations gauge
ray_casino_host_activations{Component="core_worker",process="session-host-0"} 508.0
ray_casino_host_activations{Component="core_worker",process="session-host-1"} 492.0
ray_casino_host_activations{Component="core_worker",process="crash-main"} 1.0
# HELP ray_casino_host_shards shards
# TYPE ray_casino_host_shards gauge
ray_casino_host_shards{process="session-host-0"} 32.0
"""


def test_only_session_hosts_have_sessions() -> None:
    assert activations_in(METRICS) == [508.0, 492.0]
    assert activations_in("") == []


async def test_who_tells_nothing_is_not_taken_for_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.measures.server._RESIDENT_DEADLINE_S", 0.0)
    assert await resident_sessions(["http://127.0.0.1:9/metrics"]) is None
    with pytest.raises(MeasureFailed, match=r"30 sessions should be resident, but .* nothing"):
        await check_resident(Target(url="http://127.0.0.1:9", name="x"), 30)


def test_growth_of_some_roles() -> None:
    before, after = {"gateway": 100, "session host": 50}, {"gateway": 130, "session host": 45, "new": 7}
    assert grown(before, after, "gateway") == 30
    assert grown(before, after, "gateway", "session host", "new", "nobody") == 32


def test_the_database_that_the_casino_names(tmp_path: Path) -> None:
    target = Target(url="http://127.0.0.1:9", name="x", data=tmp_path)
    with pytest.raises(MeasureFailed, match="does not say"):
        dsn_of(target)
    (tmp_path / "run.json").write_text(json.dumps({"pid": 1, "dsn": "postgresql:///casino"}))
    assert dsn_of(target) == "postgresql:///casino"
    with pytest.raises(MeasureFailed, match="elsewhere"):
        dsn_of(Target(url="http://127.0.0.1:9", name="x"))


def test_processes_are_those_below_the_servers() -> None:
    with subprocess.Popen(["sleep", "60"]) as server:
        target = Target(url="http://x", name="x", pid=server.pid)
        assert [process.pid for process, _ in members(target)] == [server.pid]
        assert pids_of(target, "session host") == []
        server.kill()
    assert members(target) == []
    assert members(Target(url="http://x", name="x")) == []
