"""``dedicated``: one process for each session. The same FastAPI in front; behind it each player is a Ray
actor, which owns the player's state and makes its own transactions.

``python -m benchmarks.baselines.dedicated`` serves it. What Ray suggests at first sight, and fair to it:
the actor keeps the state in memory, so that a spin is one statement and one round trip to Postgres, with
no lock; it holds one connection; no CPU is reserved for it. Postgres' connections bound how many there can
be.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Any

import asyncpg
import msgspec
import psutil

from benchmarks.baselines.baseline import Baseline
from benchmarks.baselines.child import served
from benchmarks.baselines.fastapi_gateway import Tokens, application, new_key, serve
from benchmarks.baselines.postgres import own_postgres
from benchmarks.baselines.row_lock_players import READ, REPLY, SIGN_UP, WRITE, create_schema, new_player
from benchmarks.baselines.serving import LOOPBACK, Arguments, listening, run
from benchmarks.baselines.slot_machine import Player, Refused, spin, streak_after
from benchmarks.load.target import Target

SESSIONS_MAX = 64
_OBJECT_STORE_BYTES = 100 * 1024 * 1024
_TITLE = "ray::DedicatedSession"


class DedicatedSession:
    """The actor of one player. Its methods run one at a time, each on the thread that owns the loop."""

    def __init__(self, dsn: str, player: int) -> None:
        self._dsn = dsn
        self._player = player
        self._state: Player | None = None
        self._connection: asyncpg.Connection[asyncpg.Record] | None = None
        self._turn = asyncio.Lock()
        self._encode = msgspec.msgpack.Encoder().encode

    async def open(self) -> bool:
        """Whether there is such a player."""
        self._connection = await asyncpg.connect(self._dsn)
        row = await self._connection.fetchrow(READ, self._player)
        self._state = Player(*row) if row is not None else None
        return row is not None

    async def spin(self, command_id: str, stake: int) -> bytes | tuple[str, str]:
        """The answer, or the code and message of a refusal: Ray wraps exceptions, and logs them."""
        async with self._turn:
            state, connection = self._state, self._connection
            assert state is not None
            assert connection is not None
            try:
                spun = spin(state, stake)
                streak = streak_after(state, spun)
                reply = self._encode(spun)
                await connection.execute(
                    WRITE, self._player, command_id, reply, stake, spun.payout, spun.gold_balance, streak
                )
            except Refused as refusal:
                stored = await connection.fetchval(REPLY, self._player, command_id)
                return (refusal.code, refusal.message) if stored is None else bytes(stored)
            except asyncpg.UniqueViolationError:
                return bytes(await connection.fetchval(REPLY, self._player, command_id))
            state.gold, state.streak, state.nonce = spun.gold_balance, streak, state.nonce + 1
            return reply


class _Resident:
    """A session that has its process."""

    def __init__(self, actor: Any) -> None:
        self.actor = actor
        self.opening = asyncio.ensure_future(_opened(actor))
        self.connections = 0


class DedicatedPlayers:
    """See ``fastapi_gateway.Players``. Knows which actors there are: an actor stays when its player has
    gone, as the casino's do, until its place is needed."""

    def __init__(self, pool: asyncpg.Pool[asyncpg.Record], new_actor: Callable[[int], Any]) -> None:
        self._pool = pool
        self._new_actor = new_actor
        self._residents: dict[int, _Resident] = {}

    async def sign_up(self) -> int:
        return int(await self._pool.fetchval(SIGN_UP, *new_player()))

    async def enter(self, player: int) -> None:
        resident = self._residents.get(player) or self._activate(player)
        resident.connections += 1
        try:
            is_known = await asyncio.shield(resident.opening)
        except BaseException:
            self._forget(player)
            raise
        if not is_known:
            self._forget(player)
            raise Refused("not_authenticated", "There is no such player.")

    async def leave(self, player: int) -> None:
        if player in self._residents:
            self._residents[player].connections -= 1

    async def spin(self, player: int, command_id: str, stake: int) -> bytes:
        answer = await self._residents[player].actor.spin.remote(command_id, stake)
        if isinstance(answer, bytes):
            return answer
        raise Refused(*answer)

    def _activate(self, player: int) -> _Resident:
        if len(self._residents) >= SESSIONS_MAX:
            idle = next((key for key, found in self._residents.items() if not found.connections), None)
            if idle is None:
                raise Refused("overloaded", f"There is room for {SESSIONS_MAX} sessions.")
            self._forget(idle)
        resident = self._residents[player] = _Resident(self._new_actor(player))
        return resident

    def _forget(self, player: int) -> None:
        resident = self._residents.pop(player, None)
        if resident is not None:
            _end_actor(resident.actor)


async def _opened(actor: Any) -> bool:
    return bool(await actor.open.remote())


def _end_actor(actor: Any) -> None:
    import ray

    with contextlib.suppress(Exception):
        ray.kill(actor)


@asynccontextmanager
async def serving(arguments: Arguments) -> AsyncIterator[str]:
    os.environ |= {
        # Whoever reaches a Ray port can run code.
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_worker_niceness": "0",
        "RAY_USE_UVLOOP": "1",
    }
    # Ray reads its environment when it is imported, so not before now; and other programs that know this
    # module have no use for it.
    import ray

    async with AsyncExitStack() as stack:
        dsn = await stack.enter_async_context(own_postgres(arguments.data))
        await create_schema(dsn)
        ray.init(
            num_cpus=2,
            include_dashboard=False,
            log_to_driver=False,
            configure_logging=False,
            logging_level=logging.ERROR,
            object_store_memory=_OBJECT_STORE_BYTES,
            _temp_dir=str(arguments.data / "ray"),
        )
        stack.callback(ray.shutdown)
        actor_class = ray.remote(num_cpus=0, max_restarts=0)(_actor_class())
        pool = await asyncpg.create_pool(dsn, min_size=1, max_size=4)
        await stack.enter_async_context(pool)
        players = DedicatedPlayers(pool, lambda player: actor_class.remote(dsn, player))
        listener, ready = listening(), asyncio.Event()
        front = asyncio.create_task(serve(application(players, Tokens(new_key())), listener, ready.set))
        stack.push_async_callback(_end_front, front)
        await ready.wait()
        yield f"http://{LOOPBACK}:{listener.getsockname()[1]}"


def _actor_class() -> type[DedicatedSession]:
    # As a program this module is ``__main__``, which an actor's process would have to be sent in pieces.
    from benchmarks.baselines.dedicated import DedicatedSession

    return DedicatedSession


async def _end_front(front: asyncio.Task[None]) -> None:
    front.cancel()
    await asyncio.gather(front, return_exceptions=True)


def session_bytes(pid: int) -> list[int]:
    """Private memory of each session's process, of the server with this process id: what would be free if
    it were gone. Ray's spare workers do not count."""
    found = []
    for process in psutil.Process(pid).children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if " ".join(process.cmdline()).startswith(_TITLE):
                found.append(int(process.memory_full_info().uss))
    return found


def started() -> AbstractAsyncContextManager[Target]:
    settings = {"sessions at most": str(SESSIONS_MAX)}
    return served("dedicated", "benchmarks.baselines.dedicated", settings=settings)


BASELINE = Baseline(
    "dedicated", "a process for each session: a Ray actor that owns the state and commits by itself", started
)

if __name__ == "__main__":
    run(serving)
