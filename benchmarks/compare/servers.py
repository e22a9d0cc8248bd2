"""The servers that are compared, each started when it is first needed.

Owns starting and ending them, the casino's among them; a server that two rows need one after the other is
started once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from contextlib import AbstractAsyncContextManager

from benchmarks.load.target import Target

CASINO = "casino"

Started = Callable[[], AbstractAsyncContextManager[Target]]


class Servers:
    """``known``: how each is started, by its name."""

    def __init__(self, known: dict[str, Started]) -> None:
        self._known = known
        self._running: dict[str, _Running] = {}

    async def get(self, name: str) -> Target:
        """The server, started if it does not run.

        Raises:
            KeyError: no such server.
            Exception: whatever its start raises.
        """
        if name not in self._running:
            running = _Running(self._known[name])
            try:
                await running.begun
            except BaseException:
                await running.end()
                raise
            self._running[name] = running
        return self._running[name].begun.result()

    async def keep(self, names: Collection[str]) -> None:
        """End all the others."""
        for name in [name for name in self._running if name not in names]:
            await self._running.pop(name).end()


class _Running:
    """One server, begun and ended in a task of its own: whoever asks for it may be cancelled, and what
    was entered in a task has to be left in the same."""

    def __init__(self, started: Started) -> None:
        self.begun: asyncio.Future[Target] = asyncio.get_running_loop().create_future()
        self._enough = asyncio.Event()
        self._task = asyncio.create_task(self._run(started))

    async def end(self) -> None:
        self._enough.set()
        if not self.begun.done() or self.begun.cancelled():
            self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self, started: Started) -> None:
        try:
            async with started() as target:
                if not self.begun.done():
                    self.begun.set_result(target)
                await self._enough.wait()
        except Exception as error:
            if self.begun.done():
                raise
            self.begun.set_exception(error)
