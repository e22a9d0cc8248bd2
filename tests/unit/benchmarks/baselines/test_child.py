"""Nothing is left of a server, however it or the benchmark ends."""

import asyncio
import contextlib
import os
import signal
import sys
from pathlib import Path

import psutil
import pytest

from benchmarks.baselines.child import served
from benchmarks.load.target import TargetError

_ROWLOCK = "benchmarks.baselines.rowlock"


def _family(pid: int | None) -> list[psutil.Process]:
    assert pid is not None
    root = psutil.Process(pid)
    return [root, *root.children(recursive=True)]


def _has_a_database(servers: set[psutil.Process]) -> list[psutil.Process]:
    """The family of the one that has got as far as starting Postgres."""
    for server in servers:
        with contextlib.suppress(psutil.NoSuchProcess):
            family = _family(server.pid)
            if any(member.name() in ("postgres", "initdb") for member in family):
                return family
    return []


async def _all_gone(family: list[psutil.Process], deadline_s: float = 10.0) -> bool:
    """Orphans take a moment to be reaped."""
    for _ in range(int(deadline_s / 0.05)):
        if not any(_is_alive(process) for process in family):
            return True
        await asyncio.sleep(0.05)
    return False


def _is_alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


async def test_it_goes_with_its_children_and_its_data() -> None:
    async with served("rowlock", _ROWLOCK) as target:
        family = _family(target.pid)
        data = target.data
        assert data is not None
        assert (data / "postgres" / "PG_VERSION").exists()
        assert len(family) > 4
    assert await _all_gone(family)
    assert not data.exists()


async def test_what_a_killed_server_leaves_goes_as_well() -> None:
    async with served("rowlock", _ROWLOCK) as target:
        family = _family(target.pid)
        data = target.data
        assert data is not None
        assert target.pid is not None
        os.kill(target.pid, signal.SIGKILL)
        await asyncio.sleep(0.2)
    assert await _all_gone(family)
    assert not data.exists()


async def test_it_goes_when_the_benchmark_fails() -> None:
    family: list[psutil.Process] = []

    async def fail() -> None:
        async with served("echo", "benchmarks.baselines.echo") as target:
            family.extend(_family(target.pid))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    assert family
    assert await _all_gone(family)


async def test_it_goes_when_the_benchmark_is_cancelled_while_it_starts(tmp_path: Path) -> None:
    async def start() -> None:
        async with served("rowlock", _ROWLOCK):
            raise AssertionError("it should not have got so far")

    # Other tests of this process may have children of their own.
    before = set(psutil.Process().children())
    starting = asyncio.create_task(start())
    async with asyncio.timeout(20):
        while not (family := _has_a_database(set(psutil.Process().children()) - before)):
            await asyncio.sleep(0.02)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert await _all_gone(family)


async def test_it_goes_when_the_benchmark_is_killed() -> None:
    program = (
        "import asyncio\n"
        "from benchmarks.baselines import rowlock\n"
        "async def main():\n"
        "    async with rowlock.started() as target:\n"
        "        print(target.pid, target.data, flush=True)\n"
        "        await asyncio.sleep(60)\n"
        "asyncio.run(main())\n"
    )
    benchmark = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, stdout=asyncio.subprocess.PIPE
    )
    assert benchmark.stdout is not None
    pid, data = (await benchmark.stdout.readline()).decode().split()
    family = _family(int(pid))
    benchmark.kill()
    await benchmark.wait()
    assert await _all_gone(family, 20.0)
    assert not Path(data).exists()


async def test_a_server_that_does_not_start_says_why() -> None:
    with pytest.raises(TargetError, match="No module named"):
        async with served("nothing", "benchmarks.baselines.nothing"):
            pass
