import asyncio

import pytest

from benchmarks.crash.watchers import WatchResult, WatchStatus
from benchmarks.crowd import SignUpFailed
from benchmarks.options import WatchOptions
from benchmarks.troupe import BotProcessFailed, in_own_process, perform


class Scripted:
    """A troupe that notes its orders."""

    def __init__(self, orders: list[str]) -> None:
        self._orders = orders

    async def gather(self) -> None:
        self._orders.append("gather")

    async def play(self) -> None:
        self._orders.append("play")

    async def status(self) -> str:
        return "fine"

    async def stop(self) -> int:
        self._orders.append("stop")
        return 1


async def test_everybody_in_step_and_the_end_is_the_callers() -> None:
    orders: list[str] = []
    seconds: list[float] = []

    def on_second(elapsed_s: float, statuses: object) -> bool:
        assert statuses == ["fine", "fine"]
        seconds.append(elapsed_s)
        return len(seconds) < 2

    troupes = [Scripted(orders), Scripted(orders)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("benchmarks.troupe.SECOND_S", 0.01)
        results = await perform(troupes, None, asyncio.Event(), lambda: orders.append("begin"), on_second)
    assert results == [1, 1]
    assert orders == ["begin", "gather", "gather", "play", "play", "stop", "stop"]
    assert len(seconds) == 2


async def test_a_process_that_cannot_gather_and_one_that_dies() -> None:
    options = WatchOptions(url="http://127.0.0.1:9", players=2, bare=True, sign_up_timeout_s=0.2)
    async with in_own_process(options, WatchStatus, WatchResult) as troupe:
        with pytest.raises(SignUpFailed, match="0 of 2"):
            await troupe.gather()
        with pytest.raises(BotProcessFailed):
            await troupe.ask(b"dance")
