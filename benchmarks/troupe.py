"""Crowds of bots, wherever they run: in this process, or in child processes told what to do.

Owns the order of a run (everybody is gathered, then all play at once, then all stop) and this end of
the line protocol; ``bot_process`` is the other.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from time import monotonic
from typing import Any, Generic, Protocol, TypeVar

import msgspec

from benchmarks.crowd import SignUpFailed

_ANSWER_BYTES_MAX = 256 * 1024 * 1024
"""The result of a process carries every stall and every bot's longest one."""

SECOND_S = 1.0
"""Between two looks at how a run is going."""

StatusT = TypeVar("StatusT")
ResultT = TypeVar("ResultT")
StatusT_co = TypeVar("StatusT_co", covariant=True)
ResultT_co = TypeVar("ResultT_co", covariant=True)


class AnyCrowd(Protocol[StatusT_co, ResultT_co]):
    """What a crowd of any kind can do."""

    async def gather(self) -> None:
        """Raises ``SignUpFailed``."""
        ...

    def play(self) -> None: ...
    def status(self) -> StatusT_co: ...
    async def stop(self) -> None: ...
    def result(self) -> ResultT_co: ...


class Troupe(Protocol[StatusT_co, ResultT_co]):
    """A crowd, wherever it runs."""

    async def gather(self) -> None: ...
    async def play(self) -> None: ...
    async def status(self) -> StatusT_co: ...
    async def stop(self) -> ResultT_co: ...


class BotProcessFailed(Exception):
    """A bot process died or did not answer as agreed."""


class LocalTroupe(Generic[StatusT, ResultT]):
    """A crowd on this event loop."""

    def __init__(self, crowd: AnyCrowd[StatusT, ResultT]) -> None:
        self._crowd = crowd

    async def gather(self) -> None:
        await self._crowd.gather()

    async def play(self) -> None:
        self._crowd.play()

    async def status(self) -> StatusT:
        return self._crowd.status()

    async def stop(self) -> ResultT:
        await self._crowd.stop()
        return self._crowd.result()


class RemoteTroupe(Generic[StatusT, ResultT]):
    """A crowd in a child process, told what to do line by line; see ``bot_process``."""

    def __init__(
        self, process: asyncio.subprocess.Process, status_type: type[StatusT], result_type: type[ResultT]
    ) -> None:
        self._process = process
        self._status_type = status_type
        self._result_type = result_type

    async def ask(self, order: bytes) -> bytes:
        """One order, one line in answer.

        Raises:
            BotProcessFailed: there is nobody to answer.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(order + b"\n")
            await self._process.stdin.drain()
            answer = await self._process.stdout.readline()
        except (OSError, ValueError) as error:
            raise BotProcessFailed(repr(error)) from error
        if not answer:
            raise BotProcessFailed(f"a bot process ended with {await self._process.wait()}")
        return answer

    async def gather(self) -> None:
        answer = msgspec.json.decode(await self.ask(b"gather"), type=str)
        if answer:
            raise SignUpFailed(answer)

    async def play(self) -> None:
        await self.ask(b"play")

    async def mute(self) -> None:
        """For watchers: the opposite of ``play``."""
        await self.ask(b"mute")

    async def status(self) -> StatusT:
        return msgspec.json.decode(await self.ask(b"status"), type=self._status_type)

    async def stop(self) -> ResultT:
        return msgspec.json.decode(await self.ask(b"stop"), type=self._result_type)


@asynccontextmanager
async def in_own_process(
    options: msgspec.Struct, status_type: type[StatusT], result_type: type[ResultT]
) -> AsyncIterator[RemoteTroupe[StatusT, ResultT]]:
    """``options`` is one of those that ``bot_process`` knows."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "benchmarks.bot_process",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=_ANSWER_BYTES_MAX,
        # Ctrl-C is for this process alone, so that the bots can finish and report.
        start_new_session=True,
    )
    troupe = RemoteTroupe(process, status_type, result_type)
    try:
        await troupe.ask(msgspec.json.encode(options))
        yield troupe
    finally:
        if process.stdin is not None:
            process.stdin.close()
        try:
            await asyncio.wait_for(process.wait(), 5.0)
        except TimeoutError:
            process.kill()
            await process.wait()


@asynccontextmanager
async def in_this_process(
    crowd: AbstractAsyncContextManager[Any],
) -> AsyncIterator[LocalTroupe[Any, Any]]:
    async with crowd as opened:
        yield LocalTroupe(opened)


async def perform(
    troupes: Sequence[Troupe[StatusT, ResultT]],
    duration_s: float | None,
    interrupt: asyncio.Event,
    on_gathering: Callable[[], None],
    on_second: Callable[[float, Sequence[StatusT]], bool],
    on_gathered: Callable[[], None] = lambda: None,
) -> list[ResultT]:
    """A whole run. ``on_second`` is told the elapsed time and what each troupe says about once a
    second; False ends the run early, as ``interrupt`` does. ``on_gathered`` is called when everybody is
    there and nobody plays.

    Raises:
        SignUpFailed: not everybody could be gathered.
    """
    on_gathering()
    await asyncio.gather(*(troupe.gather() for troupe in troupes))
    on_gathered()
    await asyncio.gather(*(troupe.play() for troupe in troupes))
    began = monotonic()
    goes_on = True
    while goes_on and not interrupt.is_set():
        left_s = began + duration_s - monotonic() if duration_s is not None else SECOND_S
        if left_s <= 0:
            break
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(interrupt.wait(), min(SECOND_S, left_s))
        statuses = await asyncio.gather(*(troupe.status() for troupe in troupes))
        goes_on = on_second(monotonic() - began, statuses)
    return await asyncio.gather(*(troupe.stop() for troupe in troupes))


async def open_troupes(
    stack: AsyncExitStack,
    shares: Sequence[msgspec.Struct],
    crowd_of: Callable[[Any], AbstractAsyncContextManager[Any]],
    status_type: type[StatusT],
    result_type: type[ResultT],
) -> list[Troupe[StatusT, ResultT]]:
    """A single share plays in this process, several in processes of their own."""
    if len(shares) == 1:
        local: LocalTroupe[StatusT, ResultT] = await stack.enter_async_context(
            in_this_process(crowd_of(shares[0]))
        )
        return [local]
    return [
        await stack.enter_async_context(in_own_process(share, status_type, result_type)) for share in shares
    ]
