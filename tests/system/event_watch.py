"""How far analytics are behind the players, twice a second, as the processes themselves say."""

from __future__ import annotations

import asyncio
import contextlib
import time
from types import TracebackType
from typing import Any, Self

from persistence.status_board import BoardUnavailable, StatusBoard

_EVERY_S = 0.5


class EventWatch:
    """``async with``: looks while the body runs."""

    def __init__(self, redis_url: str, *movers: str) -> None:
        """``movers`` are the processes that an event passes: the slowest tells the lag."""
        self._board = StatusBoard(redis_url)
        self._movers = movers
        self._reached_ms: dict[str, int] = {}
        self.lags_s: list[float] = []
        self.held_up_s = 0.0
        self.said: dict[str, dict[str, Any]] = {}
        self._totals: dict[str, list[tuple[float, int]]] = {mover: [] for mover in movers}
        """By mover, of its present life: when it said how many events it had moved."""
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._task is not None
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self._board.close()

    async def arrived(self, until_ms: int, patience_s: float = 120.0) -> float:
        """Wait until everything recorded before has passed all movers. Returns how long it took, in s."""
        began_s = time.monotonic()
        async with asyncio.timeout(patience_s):
            while not all(self._reached_ms.get(mover, 0) > until_ms for mover in self._movers) or any(
                self.said[mover].get("lag_records") for mover in self._movers
            ):
                await asyncio.sleep(0.1)
        return time.monotonic() - began_s

    def lag_s(self, quantile: float) -> float:
        ordered = sorted(self.lags_s)
        return ordered[min(len(ordered) - 1, int(quantile * len(ordered)))]

    def events_per_s(self, window_s: float = 4.0) -> float:
        """Of the slowest mover, at its best for as long as this."""
        return min(_best(totals, window_s) for totals in self._totals.values())

    def _note(self, mover: str, at_s: float, total: int) -> None:
        totals = self._totals[mover]
        if totals and total < totals[-1][1]:
            totals.clear()
        if not totals or at_s > totals[-1][0]:
            totals.append((at_s, total))

    async def _run(self) -> None:
        while True:
            with contextlib.suppress(BoardUnavailable):
                await self._look()
            await asyncio.sleep(_EVERY_S)

    async def _look(self) -> None:
        board = await self._board.read()
        for mover in self._movers:
            said = board.get(mover)
            # Who has not looked yet does not know how much waits.
            if said is not None and "lag_seconds" in said:
                self.said[mover] = said
                # Nobody unlearns what is published, whatever the next life of a process knows of it.
                reached_ms = int(said["at_ms"] - 1000 * said["lag_seconds"])
                self._reached_ms[mover] = max(self._reached_ms.get(mover, 0), reached_ms)
                self._note(mover, said["at_ms"] / 1000, int(said["events_total"]))
                self.held_up_s = max(self.held_up_s, said.get("held_up_seconds", 0.0))
        if len(self._reached_ms) == len(self._movers):
            self.lags_s.append(max(0.0, time.time() - min(self._reached_ms.values()) / 1000))


def _best(totals: list[tuple[float, int]], window_s: float) -> float:
    rates = [
        (later - total) / (later_s - at_s)
        for number, (at_s, total) in enumerate(totals)
        for later_s, later in totals[number + 1 :]
        if window_s <= later_s - at_s <= window_s + 1.5
    ]
    return max(rates, default=0.0)
