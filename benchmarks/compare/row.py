"""What a row of the comparison is, before it is measured, and what it is measured with."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from benchmarks.compare.result import Aim, Found
from benchmarks.compare.servers import Servers

ResultT = TypeVar("ResultT")


class EndedEarly(Exception):
    """Somebody has had enough before there was anything to keep."""


class Sizes(NamedTuple):
    """How much of everything; times in seconds."""

    pairs: int
    slice_s: float
    warm_up_s: float
    """Before each slice, not counted."""
    broadcast_rounds: int
    broadcast_connections: int
    broadcast_s: float
    dedicated_sessions: int
    memory_sessions: tuple[int, ...]
    memory_connections: int
    recovery_sessions: int
    growth_residents: tuple[int, ...]
    growth_rounds: int
    growth_s: float
    """Of each casino's turn in a round."""


FULL = Sizes(
    pairs=4,
    slice_s=3.0,
    warm_up_s=1.0,
    broadcast_rounds=2,
    broadcast_connections=5_000,
    broadcast_s=8.0,
    dedicated_sessions=20,
    memory_sessions=(10_000, 100_000),
    memory_connections=10_000,
    recovery_sessions=10_000,
    growth_residents=(1_000, 100_000),
    growth_rounds=2,
    growth_s=4.0,
)
QUICK = Sizes(
    pairs=2,
    slice_s=2.0,
    warm_up_s=1.0,
    broadcast_rounds=1,
    broadcast_connections=200,
    broadcast_s=4.0,
    dedicated_sessions=6,
    memory_sessions=(1_000,),
    memory_connections=500,
    recovery_sessions=500,
    growth_residents=(500, 3_000),
    growth_rounds=1,
    growth_s=2.0,
)


class Bench:
    """What rows are measured with."""

    def __init__(
        self,
        sizes: Sizes,
        servers: Servers,
        report: Callable[[str], None],
        interrupt: asyncio.Event,
        probe: Path,
    ) -> None:
        self.sizes = sizes
        self.servers = servers
        self.report = report
        self.interrupt = interrupt
        """Set when somebody has had enough."""
        self.probe = probe
        """A directory whose disk is probed where a server's is not known."""
        self._known: dict[str, object] = {}

    async def unless(self, work: Coroutine[Any, Any, ResultT]) -> ResultT:
        """What ``work`` gives, which is cancelled when somebody has had enough.

        Raises:
            EndedEarly: they had.
        """
        doing = asyncio.ensure_future(work)
        enough = asyncio.ensure_future(self.interrupt.wait())
        try:
            await asyncio.wait({doing, enough}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            enough.cancel()
            if not doing.done():
                doing.cancel()
                await asyncio.gather(doing, return_exceptions=True)
        if doing.cancelled():
            raise EndedEarly("ended before it was measured")
        return doing.result()

    async def once(self, key: str, measure: Callable[[], Coroutine[Any, Any, ResultT]]) -> ResultT:
        """Measured for the first row that asks, and the same for those after it."""
        if key not in self._known:
            self._known[key] = await self.unless(measure())
        return self._known[key]  # type: ignore[return-value]  # a key stands for one measurement


class Spec(NamedTuple):
    """A row. The words are for a reader who has never seen the project."""

    name: str
    title: str
    measured: str
    against: str
    aims: tuple[Aim, ...]
    measure: Callable[[Bench], Awaitable[Found]]
    seconds: Callable[[Sizes], float]
    """About how long it takes on two cores."""
    servers: tuple[str, ...] = ()
    """Those that it takes from ``Bench.servers``; any other is ended before."""
    compared: tuple[str, ...] = ()
    """The two whose slices alternate, ours first."""
