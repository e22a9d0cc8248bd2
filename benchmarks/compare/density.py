"""How many sessions fit into a GiB: of the casino, and of a server that gives each a process of its own.

Owns finding out what a session costs where every one is an actor of Ray. What one costs the casino is
``measures.memory``'s.
"""

from __future__ import annotations

from benchmarks.compare.alone import memory_of_casino
from benchmarks.compare.pairing import Spread
from benchmarks.compare.result import Figure, Found
from benchmarks.compare.row import Bench
from benchmarks.load.plan import Wishes, plan_of
from benchmarks.load.processes import Processes, server_roots
from benchmarks.load.run import run
from benchmarks.load.target import Target
from benchmarks.scenarios.catalogue import SCENARIOS

DEDICATED = "dedicated"
PER_GIB = "sessions per GiB"
_GIB = 1024**3
_SPIN = SCENARIOS["spin"]
_FIRST = 4
"""Ray keeps as many idle workers as there are cores: they have to be used up before anything is counted."""
_SPINS_PER_S = 2.0
_SECONDS = 6.0


class NoGrowth(Exception):
    """More sessions did not take more memory, so that nothing can be said of one."""


async def density(bench: Bench) -> Found:
    """The casino is measured when the dedicated server has ended, or was before."""
    bench.report(f"starting {DEDICATED}")
    target = await bench.unless(bench.servers.get(DEDICATED))
    sessions = bench.sizes.dedicated_sessions
    bench.report(f"{DEDICATED}: the first {_FIRST} sessions, not counted")
    before = (await bench.unless(_memory_with(bench, target, _FIRST)))[0]
    bench.report(f"{DEDICATED}: {sessions} more sessions, each a process")
    after, answered = await bench.unless(_memory_with(bench, target, sessions))
    each = cost_of_one(before, after, sessions)
    await bench.servers.keep(())
    memory = await memory_of_casino(bench)
    if memory.sessions_per_gib <= 0:
        raise NoGrowth("what a session costs the casino was too little to be seen among its noise")
    theirs = _GIB / each
    return Found(
        {PER_GIB: Spread(memory.sessions_per_gib / theirs)},
        [
            Figure("casino, sessions per GiB", float(memory.sessions_per_gib), ""),
            Figure(f"{DEDICATED}, sessions per GiB", theirs, ""),
            Figure(f"{DEDICATED}, one session", each / 1024**2, "MiB"),
            Figure(f"{DEDICATED}, sessions counted", float(sessions), ""),
            Figure(f"{DEDICATED}, spins answered meanwhile", float(answered), ""),
        ],
    )


def cost_of_one(before: int, after: int, sessions: int) -> float:
    """Bytes. Raises ``NoGrowth`` when there were none."""
    if after <= before:
        raise NoGrowth(f"{sessions} sessions took the memory from {before:,} to {after:,} bytes")
    return (after - before) / sessions


async def _memory_with(bench: Bench, target: Target, sessions: int) -> tuple[int, int]:
    """Private bytes of the whole server when so many new players play, and how often they were answered."""
    plan = plan_of(
        _SPIN, Wishes(rate=_SPINS_PER_S * sessions, connections=sessions, duration_s=_SECONDS, warm_up_s=0.0)
    )
    outcome = await run(_SPIN, target, plan, (), command="", probe=bench.probe)
    seen = outcome.result.memory_after
    if not seen:
        # Nobody looked in time: a run may end before its first second.
        seen = Processes(server_roots(target)).private_bytes()
    return sum(seen.values()), outcome.result.answers
