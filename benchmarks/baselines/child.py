"""A baseline's server as a child process, seen from the benchmark that starts it.

Owns its whole life: the wait for ``ready URL``, and that nothing of it is left afterwards, neither its
process nor those it started nor its data, however either side ends. ``serving`` is the other end.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import psutil

from benchmarks.load.target import Target, TargetError

START_DEADLINE_S = 120.0
STOP_DEADLINE_S = 60.0
_KILLED_S = 10.0
_READY = "ready "


@asynccontextmanager
async def served(
    name: str,
    module: str,
    arguments: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
    settings: Mapping[str, str] | None = None,
) -> AsyncIterator[Target]:
    """Run ``python -m module`` until the context ends. ``settings`` are for the reader of the result.

    Raises:
        TargetError: it did not start, with what it said.
    """
    with tempfile.TemporaryDirectory(prefix="casino-baseline-", ignore_cleanup_errors=True) as folder:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            module,
            f"--data={folder}",
            "--until-input-ends",
            *arguments,
            env={**os.environ, **(environment or {})},
            # Nothing is written to it: that it ends, even when we are killed, is what it waits for.
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            # Ctrl-C is for the run, which ends the server itself when the load is gone.
            start_new_session=True,
        )
        drain: asyncio.Task[None] | None = None
        try:
            url = await _until_ready(name, process)
            drain = asyncio.create_task(_read_on(process))
            yield Target(
                url=url, name=name, pid=process.pid, data=Path(folder), settings=dict(settings or {})
            )
        finally:
            await asyncio.shield(_end(process, drain))


async def _until_ready(name: str, process: Process) -> str:
    assert process.stdout is not None
    said: list[str] = []
    try:
        async with asyncio.timeout(START_DEADLINE_S):
            while line := (await process.stdout.readline()).decode(errors="replace"):
                if line.startswith(_READY):
                    return line.removeprefix(_READY).split()[0]
                said.append(line)
    except TimeoutError:
        said.append(f"(not ready after {START_DEADLINE_S:.0f} s)")
    raise TargetError(f"the baseline {name} did not start:\n" + "".join(said[-30:]))


async def _read_on(process: Process) -> None:
    """Nobody may be held up because nobody reads."""
    assert process.stdout is not None
    while await process.stdout.read(65536):
        pass


async def _end(process: Process, drain: asyncio.Task[None] | None) -> None:
    drain = drain or asyncio.create_task(_read_on(process))
    # While it lives it can be asked who belongs to it; whoever it leaves behind is known by this.
    family = _family(process.pid)
    if process.stdin is not None:
        process.stdin.close()
    if process.returncode is None:
        process.terminate()
        try:
            await asyncio.wait_for(process.wait(), STOP_DEADLINE_S)
        except TimeoutError:
            process.kill()
            await process.wait()
    left = [member for member in {*family, *_family(process.pid)} if member.is_running()]
    for member in left:
        try:
            member.kill()
        except psutil.NoSuchProcess:
            continue
    await asyncio.to_thread(psutil.wait_procs, left, _KILLED_S)
    # Those that are gone cannot write any more, so this ends.
    await drain


def _family(session: int) -> set[psutil.Process]:
    """Everybody in the child's session, orphans too, and their descendants: Postgres' backends have
    sessions of their own."""
    family: set[psutil.Process] = set()
    for process in psutil.process_iter():
        try:
            if os.getsid(process.pid) == session:
                family |= {process, *process.children(recursive=True)}
        except (OSError, psutil.Error):
            continue
    return family
