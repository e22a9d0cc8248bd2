"""A worker of a baseline: one process of FastAPI, one of several that share a port, started by its server.

Owns neither data nor database. ``python -m benchmarks.baselines.worker`` takes its ``Job`` from the
environment, and says ``ready`` when it takes traffic.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import msgspec
import uvloop

from benchmarks.baselines import row_lock_players
from benchmarks.baselines.fastapi_gateway import Tokens, application, serve
from benchmarks.baselines.serving import LOOPBACK, end_with_input, listening, say_ready

_JOB = "CASINO_BASELINE_JOB"
_STOP_DEADLINE_S = 10.0


class Job(msgspec.Struct, frozen=True):
    """``connections``: of this worker, to Postgres."""

    dsn: str
    key: str
    port: int
    connections: int

    @property
    def url(self) -> str:
        """Where it is served, by whichever worker."""
        return f"http://{LOOPBACK}:{self.port}"


@asynccontextmanager
async def working(job: Job) -> AsyncIterator[None]:
    """Run one worker until the context ends.

    Raises:
        RuntimeError: it did not start.
    """
    # Not on the command line, where everybody could read the key.
    environment = {**os.environ, _JOB: msgspec.json.encode(job).decode()}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "benchmarks.baselines.worker",
        env=environment,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        if not (await process.stdout.readline()).startswith(b"ready"):
            raise RuntimeError(f"a worker ended with {await process.wait()}")
        yield
    finally:
        if process.returncode is None:
            process.terminate()
        try:
            await asyncio.wait_for(process.wait(), _STOP_DEADLINE_S)
        except TimeoutError:
            process.kill()
            await process.wait()


async def _work(job: Job) -> None:
    async with AsyncExitStack() as stack:
        players = await stack.enter_async_context(row_lock_players.opened(job.dsn, job.connections))
        app = application(players, Tokens(job.key))
        await serve(app, listening(job.port), lambda: say_ready(job.url))


if __name__ == "__main__":
    end_with_input()
    uvloop.run(_work(msgspec.json.decode(os.environ.pop(_JOB), type=Job)))
