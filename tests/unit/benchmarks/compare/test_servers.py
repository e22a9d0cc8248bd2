from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest

from benchmarks.compare.servers import Servers, Started
from benchmarks.load.target import Target, TargetError


class Log:
    """Servers that only write down what happens to them."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.tasks: dict[str, list[object]] = {}
        self.fails = False
        self.hangs = False

    def started(self, name: str) -> Started:
        @asynccontextmanager
        async def start() -> AsyncIterator[Target]:
            self.tasks[name] = [asyncio.current_task()]
            self.said.append(f"start {name}")
            try:
                if self.fails:
                    raise TargetError("no room")
                if self.hangs:
                    await asyncio.Event().wait()
                yield Target(url="http://127.0.0.1:1", name=name)
            finally:
                self.tasks[name].append(asyncio.current_task())
                self.said.append(f"end {name}")

        def begun() -> AbstractAsyncContextManager[Target]:
            return start()

        return begun

    def servers(self) -> Servers:
        return Servers({name: self.started(name) for name in ("a", "b")})


async def test_a_server_is_started_once_and_kept_as_long_as_it_is_needed() -> None:
    log = Log()
    servers = log.servers()
    assert (await servers.get("a")).name == "a"
    await servers.get("b")
    await servers.get("a")
    await servers.keep(("a",))
    assert log.said == ["start a", "start b", "end b"]
    await servers.keep(())
    assert log.said[-1] == "end a"


async def test_it_is_ended_in_the_task_that_started_it() -> None:
    log = Log()
    servers = log.servers()
    await asyncio.create_task(servers.get("a"))
    await asyncio.create_task(servers.keep(()))
    began, ended = log.tasks["a"]
    assert began is ended


async def test_a_start_that_fails_is_told_and_may_be_tried_again() -> None:
    log = Log()
    log.fails = True
    servers = log.servers()
    with pytest.raises(TargetError, match="no room"):
        await servers.get("a")
    log.fails = False
    assert (await servers.get("a")).name == "a"
    await servers.keep(())


async def test_who_waits_for_a_start_may_be_cancelled() -> None:
    log = Log()
    log.hangs = True
    servers = log.servers()
    waiting = asyncio.create_task(servers.get("a"))
    await asyncio.sleep(0.01)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert log.said == ["start a", "end a"]


async def test_an_unknown_one() -> None:
    with pytest.raises(KeyError):
        await Log().servers().get("c")
