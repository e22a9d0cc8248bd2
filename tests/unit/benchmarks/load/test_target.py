import os
from pathlib import Path

import pytest

from benchmarks.load import target
from benchmarks.load.target import Target, TargetError, own_casino, ray_metrics, reach
from tests.unit.benchmarks.fake_casino import FakeCasino


async def test_a_server_that_is_there() -> None:
    async with FakeCasino() as casino:
        await reach(casino.url)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:9", "ftp://127.0.0.1", "http://", "http://127.0.0.1:99999"]
)
async def test_nobody_there_says_what_to_do(url: str) -> None:
    with pytest.raises(TargetError, match=r"--url"):
        await reach(url)


def test_here_or_elsewhere() -> None:
    assert Target(url="http://localhost:8000", name="x").is_local
    assert Target(url="http://casino.example", name="x", pid=3).is_local
    assert not Target(url="http://casino.example", name="x").is_local


async def test_a_casino_that_does_not_start_is_quoted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "casino"
    program.write_text("#!/bin/sh\necho starting\necho 'error: no disk left'\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setattr(target.sys, "executable", str(tmp_path / "python"))
    with pytest.raises(TargetError, match="no disk left"):
        async with own_casino():
            pytest.fail("it has not started")


async def test_an_own_casino_is_ended_and_its_data_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "casino"
    program.write_text(
        '#!/bin/sh\necho "$@" > "$ARGUMENTS"\necho "$CASINO_GUEST_SIGN_UPS_PER_MINUTE" >> "$ARGUMENTS"\n'
        "echo ready http://x\nexec sleep 60\n"
    )
    program.chmod(0o755)
    monkeypatch.setattr(target.sys, "executable", str(tmp_path / "python"))
    said = tmp_path / "arguments"
    async with own_casino({"ARGUMENTS": str(said)}) as found:
        assert found.pid is not None
        os.kill(found.pid, 0)
        assert found.data is not None
        folder = found.data.parent
        assert folder.exists()
    assert f"--data={folder}/data" in said.read_text()
    assert "10000000" in said.read_text()
    assert not folder.exists()
    with pytest.raises(ProcessLookupError):
        os.kill(found.pid, 0)


def test_where_ray_tells_its_metrics(tmp_path: Path) -> None:
    assert ray_metrics(tmp_path) == []
    file = tmp_path / "prom_metrics_service_discovery.json"
    file.write_text('[{"labels": {"job": "ray"}, "targets": ["10.0.0.1:4", "10.0.0.1:5"]}]')
    assert ray_metrics(tmp_path) == ["http://10.0.0.1:4/metrics", "http://10.0.0.1:5/metrics"]
    file.write_text('[{"labels"')
    assert ray_metrics(tmp_path) == []
