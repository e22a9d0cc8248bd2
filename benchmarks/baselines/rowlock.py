"""``rowlock``: what people would write instead of the casino. FastAPI, asyncpg, and one transaction per
action that locks the player's row.

``python -m benchmarks.baselines.rowlock`` serves it. Tuned, because a comparison with a bad server says
nothing:

- the game is decided in the process, as it is in the casino, so the row must be locked and read before
  it is written. That makes four round trips: begin, ``SELECT … FOR UPDATE``, one statement that writes
  everything (the id of the command, the ledger, the player), commit. One for each statement, and the
  pool's reset, would make seven;
- statements are prepared, connections stay open, Postgres is reached by a Unix socket and has the
  casino's settings, tables have the fewest indexes that keep their promise and no foreign keys, a
  player's row has room to be updated in its page;
- on two cores, of which Postgres and the load need their part, one process and 16 connections are best:
  they spent 0.42 to 0.49 ms of CPU on a spin (of that the process 0.19 to 0.23, so that it fills a core
  when the machine is full), two processes with 16 or 32 connections 0.46 to 0.54. Elsewhere measure again:
  ``--workers``, ``--connections``.

It is less than the casino: no events are told, nothing is resumed, and one row of the ledger stands where
the casino writes a row for each transfer.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager

from benchmarks.baselines.baseline import Baseline
from benchmarks.baselines.child import served
from benchmarks.baselines.fastapi_gateway import new_key
from benchmarks.baselines.postgres import own_postgres
from benchmarks.baselines.row_lock_players import create_schema
from benchmarks.baselines.serving import Arguments, free_port, run
from benchmarks.baselines.worker import Job, working
from benchmarks.load.target import Target

WORKERS = 1
CONNECTIONS = 16
"""To Postgres, of all workers together."""


@asynccontextmanager
async def serving(arguments: Arguments) -> AsyncIterator[str]:
    workers = arguments.workers or WORKERS
    connections = arguments.connections or CONNECTIONS
    async with AsyncExitStack() as stack:
        dsn = await stack.enter_async_context(own_postgres(arguments.data))
        await create_schema(dsn)
        job = Job(dsn, new_key(), free_port(), max(1, connections // workers))
        for _ in range(workers):
            await stack.enter_async_context(working(job))
        yield job.url


def started() -> AbstractAsyncContextManager[Target]:
    settings = {"workers": str(WORKERS), "connections to Postgres": str(CONNECTIONS)}
    return served("rowlock", "benchmarks.baselines.rowlock", settings=settings)


BASELINE = Baseline(
    "rowlock",
    "what people would write instead: FastAPI and asyncpg, each spin a transaction that locks a row",
    started,
)

if __name__ == "__main__":
    run(serving)
