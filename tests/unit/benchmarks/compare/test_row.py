import asyncio
from pathlib import Path

import pytest

from benchmarks.compare.row import QUICK, Bench, EndedEarly
from benchmarks.compare.servers import Servers


def a_bench() -> Bench:
    return Bench(QUICK, Servers({}), lambda text: None, asyncio.Event(), Path())


async def test_work_goes_on_until_somebody_has_had_enough() -> None:
    bench = a_bench()

    async def answer() -> int:
        return 42

    assert await bench.unless(answer()) == 42

    ended = asyncio.Event()

    async def long() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()

    waiting = asyncio.create_task(bench.unless(long()))
    await asyncio.sleep(0.01)
    bench.interrupt.set()
    with pytest.raises(EndedEarly):
        await waiting
    assert ended.is_set()


async def test_what_fails_is_told() -> None:
    async def fails() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await a_bench().unless(fails())


async def test_what_two_rows_need_is_measured_once() -> None:
    bench = a_bench()
    times = []

    async def measure() -> int:
        times.append(1)
        return len(times)

    assert await bench.once("memory", measure) == 1
    assert await bench.once("memory", measure) == 1
    assert await bench.once("other", measure) == 2
