import asyncio
from time import monotonic_ns

from benchmarks.load.timer import ExactTimer

MS = 1_000_000


async def test_it_rings_once_and_not_before_its_time() -> None:
    rang: list[int] = []
    came = asyncio.Event()

    def ring() -> None:
        rang.append(monotonic_ns())
        came.set()

    timer = ExactTimer(ring)
    due_ns = monotonic_ns() + 20 * MS
    timer.set(monotonic_ns() + 60_000 * MS)
    timer.set(due_ns)
    async with asyncio.timeout(10):
        await came.wait()
        came.clear()
        timer.set(0)
        await came.wait()
    timer.close()
    timer.close()
    assert rang[0] >= due_ns
    assert len(rang) == 2


async def test_closed_it_rings_no_more() -> None:
    rang: list[int] = []
    timer = ExactTimer(lambda: rang.append(1))
    timer.set(1)
    timer.close()
    await asyncio.sleep(0.02)
    assert rang == []
