"""The event loops of the simulation: virtual time, pauses, and deaths that run nothing."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.simulation.loop import ProcessLoop, Simulator


def _fail(context: dict[str, Any]) -> None:
    raise AssertionError(context)


def _process(simulator: Simulator, drift: float = 0.0) -> ProcessLoop:
    return ProcessLoop(simulator, drift, _fail)


def test_asyncio_works_on_virtual_time() -> None:
    simulator = Simulator()
    loop = _process(simulator)
    seen: list[Any] = []

    async def work() -> None:
        await asyncio.sleep(3600)
        seen.append(simulator.now)
        try:
            async with asyncio.timeout(5):
                await asyncio.Event().wait()
        except TimeoutError:
            seen.append(simulator.now)
        condition, gate = asyncio.Condition(), asyncio.Semaphore(1)
        async with condition, gate:
            seen.append(await asyncio.gather(asyncio.sleep(1, "a"), asyncio.sleep(2, "b")))

    loop.call_soon(lambda: loop.create_task(work()))
    simulator.run_until(10_000)
    assert seen == [3600.0, 3605.0, ["a", "b"]]


def test_a_killed_process_runs_nothing_not_even_finally() -> None:
    simulator = Simulator()
    loop = _process(simulator)
    seen: list[str] = []

    async def work() -> None:
        try:
            seen.append("begun")
            await asyncio.sleep(1)
        finally:
            seen.append("ended")

    loop.call_soon(lambda: loop.create_task(work()))
    simulator.at(0.5, None, loop.kill)
    simulator.run_until(10)
    assert seen == ["begun"]
    assert loop._tasks  # kept: collecting them would run them


def test_a_paused_process_catches_up_while_its_clock_ran_on() -> None:
    simulator = Simulator()
    paused, running = _process(simulator), _process(simulator)
    seen: list[tuple[str, float]] = []
    for name, loop in (("paused", paused), ("running", running)):
        loop.call_later(1, lambda name=name, loop=loop: seen.append((name, simulator.now)))
    simulator.at(0.5, None, paused.pause)
    simulator.at(7, None, paused.resume)
    simulator.run_until(10)
    assert seen == [("running", 1.0), ("paused", 7.0)]


def test_clocks_drift() -> None:
    simulator = Simulator()
    fast = _process(simulator, 0.01)
    begun = fast.time()
    seen: list[float] = []
    fast.call_later(101, lambda: seen.append(simulator.now))
    simulator.run_until(1000)
    assert abs(seen[0] - 100) < 1e-6
    assert abs(fast.time() - begun - 1010) < 1e-6


def test_a_fuse_strikes_between_two_callbacks_of_one_instant() -> None:
    simulator = Simulator()
    loop = _process(simulator)
    seen: list[int] = []
    loop.fuse, loop.fused = 3, loop.kill
    for number in range(5):
        loop.call_soon(seen.append, number)
    simulator.run_until(1)
    assert seen == [0, 1]
