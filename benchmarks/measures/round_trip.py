"""How long a durable spin takes when nothing else is under way, beside the parts that it cannot do without.

Owns four measurements of one thing at a time: a spin, a WebSocket echo, a hop between two processes, and a
commit. The spin is to be compared with the sum of the three.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from statistics import median
from time import monotonic, monotonic_ns

import asyncpg
import msgspec

from benchmarks.baselines import echo
from benchmarks.baselines.postgres import own_postgres
from benchmarks.baselines.stream_hop import far_end
from benchmarks.load.machine import command_line
from benchmarks.load.plan import Wishes, plan_of
from benchmarks.load.run import run
from benchmarks.load.target import Target, TargetError, own_casino
from benchmarks.scenarios.catalogue import SCENARIOS

MEASURED_S = 5.0
WARM_UP_S = 1.5
ROW_BYTES = 567
"""The body of a spin's row in the casino's journal."""

Report = Callable[[str], None]


class RoundTrip(msgspec.Struct, frozen=True):
    """Medians of a closed loop of one, in ms."""

    casino_p50_ms: float
    echo_p50_ms: float
    hop_p50_ms: float
    commit_p50_ms: float

    @property
    def parts_p50_ms(self) -> float:
        """What a durable spin cannot do without: one echo, one hop, one commit."""
        return self.echo_p50_ms + self.hop_p50_ms + self.commit_p50_ms


async def round_trip(
    report: Report, measured_s: float = MEASURED_S, warm_up_s: float = WARM_UP_S
) -> RoundTrip:
    """Starts what it measures, one after the other, and ends it. ``report`` is told what is being done.

    Raises:
        TargetError: something did not start, or gave no answers.
    """
    report("one durable spin at a time")
    casino_ms = await _spin_p50_ms(own_casino(), measured_s, warm_up_s)
    report("one WebSocket echo at a time")
    echo_ms = await _spin_p50_ms(echo.started(), measured_s, warm_up_s)
    with tempfile.TemporaryDirectory(prefix="casino-bench-", ignore_cleanup_errors=True) as folder:
        report("one hop between two processes at a time")
        async with far_end(Path(folder)) as hop:
            hop_ms = await _p50_ms(hop.there_and_back, measured_s, warm_up_s)
        report("one commit at a time")
        commit_ms = await _commit_p50_ms(Path(folder), measured_s, warm_up_s)
    return RoundTrip(casino_ms, echo_ms, hop_ms, commit_ms)


async def _spin_p50_ms(
    starting: AbstractAsyncContextManager[Target], measured_s: float, warm_up_s: float
) -> float:
    scenario = SCENARIOS["spin"]
    plan = plan_of(scenario, Wishes(closed=1, duration_s=measured_s, warm_up_s=warm_up_s))
    async with starting as target:
        outcome = await run(
            scenario, target, plan, [], command=command_line(), probe=Path(tempfile.gettempdir())
        )
    if not outcome.result.answers:
        raise TargetError(f"{target.name} answered nothing: {outcome.result.errors}")
    return outcome.result.latency.p50_ms


async def _commit_p50_ms(folder: Path, measured_s: float, warm_up_s: float) -> float:
    async with own_postgres(folder) as dsn:
        connection = await asyncpg.connect(dsn)
        try:
            await connection.execute(
                "CREATE TABLE row (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, body bytea NOT NULL)"
            )
            insert = await connection.prepare("INSERT INTO row (body) VALUES ($1)")
            body = bytes(ROW_BYTES)

            async def commit() -> int:
                began_ns = monotonic_ns()
                await insert.fetch(body)
                return monotonic_ns() - began_ns

            return await _p50_ms(commit, measured_s, warm_up_s)
        finally:
            await connection.close()


async def _p50_ms(measure: Callable[[], Awaitable[int]], measured_s: float, warm_up_s: float) -> float:
    """``measure`` gives how long it took, in ns."""
    begin_s = monotonic() + warm_up_s
    while monotonic() < begin_s:
        await measure()
    times_ns = [await measure()]
    end_s = begin_s + measured_s
    while monotonic() < end_s:
        times_ns.append(await measure())
    # A loop that never waits would starve whoever else is on this event loop.
    await asyncio.sleep(0)
    return round(median(times_ns) / 1e6, 4)
