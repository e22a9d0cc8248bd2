"""Crash under fire: whatever is killed in whichever phase, every bet that was taken is settled once,
for the right amount, and the table plays on."""

import asyncio
import os
import time
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest

from tests.system.arena import Arena, running
from tests.system.crash_books import Books, verify_rounds
from tests.system.crash_crowd import Crowd
from tests.system.crash_watcher import CrashWatcher
from tests.system.rigged_chains import SHORT, rig

pytestmark = pytest.mark.system

FAULT_SECONDS = float(os.environ.get("CASINO_FAULT_SECONDS", "7"))
"""How long the killing goes on at least; with 30 or more nothing is left out."""
PLAYERS = int(os.environ.get("CASINO_FAULT_PLAYERS", "24"))
LONG_S = 30.0
"""From here on nothing is left out for the sake of time."""
REPEATS_MAX = 10 if FAULT_SECONDS < LONG_S else 1000
"""Commands of each player that are given again afterwards."""
BACK_WITHIN_S = 60.0
"""It came back at all. How soon is printed."""

TABLES = '[{"name":"main","betting_s":0.6,"pause_s":0.4}]'
PHASES = ("betting", "running", "crashed", "pause")
VICTIMS = {
    "table": ("crash-main",),
    "session host": ("session-host",),
    "gateway": ("gateway",),
    "table and session host": ("crash-main", "session-host"),
}


@pytest.fixture
async def casino(data: Path) -> AsyncIterator[Arena]:
    rounds = 40 + int(FAULT_SECONDS / 2)
    await rig(data, {"main": [[SHORT] * 4] * (rounds // 4)})
    with running(data, CASINO_CRASH_TABLES=TABLES) as arena:
        yield arena


async def _victims(arena: Arena, kinds: tuple[str, ...], turn: int) -> list[psutil.Process]:
    chosen = []
    for kind in kinds:
        async with asyncio.timeout(BACK_WITHIN_S):
            while not (found := await asyncio.to_thread(_living, arena, kind)):
                await asyncio.sleep(0.1)
        chosen.append(found[turn % len(found)])
    return chosen


def _living(arena: Arena, kind: str) -> list[psutil.Process]:
    return arena.actors("Gateway") if kind == "gateway" else arena.hosts(kind)


async def test_every_part_is_killed_in_every_phase(casino: Arena) -> None:
    back: dict[str, list[float]] = {victim: [] for victim in VICTIMS}
    async with CrashWatcher(casino.url) as watcher, Crowd(casino.url, PLAYERS, watcher) as crowd:
        began_s, kills = time.monotonic(), 0
        plan: set[tuple[str, str]] = set()
        while plan or not kills or time.monotonic() - began_s < FAULT_SECONDS:
            plan = plan or _everything()
            victim, phase = min(plan, key=lambda each: (_phases_until(watcher, each[1]), each))
            plan.remove((victim, phase))
            # Found before the phase begins: looking for processes takes longer than some phases.
            victims = await _victims(casino, VICTIMS[victim], kills)
            await watcher.enters(phase)
            killed_s = time.monotonic()
            for process in victims:
                process.kill()
            kills += 1
            back[victim].append(await _back_s(watcher, crowd, killed_s))
        took_s = time.monotonic() - began_s
        await crowd.stop()
        await _settles(casino, watcher, crowd)
        print(f"{kills} kills in {took_s:.0f} s; back after:")
        for victim, seconds in back.items():
            print(f"  {victim}: {', '.join(f'{each:.1f}' for each in seconds)} s")


def _everything() -> set[tuple[str, str]]:
    plan = {(victim, phase) for phase in PHASES for victim in VICTIMS}
    if FAULT_SECONDS < LONG_S:
        # Its clients are away for seconds each time, as they back off; the others for one.
        plan -= {("gateway", phase) for phase in PHASES if phase != "running"}
    return plan


def _phases_until(watcher: CrashWatcher, phase: str) -> int:
    """How far off a phase is, so that nobody waits for one that has just passed."""
    return (PHASES.index(phase) - PHASES.index(watcher.phase) - 1) % len(PHASES)


async def _back_s(watcher: CrashWatcher, crowd: Crowd, killed_s: float) -> float:
    """Until the table is heard again and everybody is answered."""
    async with asyncio.timeout(BACK_WITHIN_S):
        await crowd.all_answer_s()
        # What was on its way when the table was killed does not count; a new life takes longer.
        await watcher.until(lambda: watcher.heard_at_s > killed_s + 0.1, BACK_WITHIN_S)
    return time.monotonic() - killed_s


async def _settles(casino: Arena, watcher: CrashWatcher, crowd: Crowd) -> None:
    """Compare everything with everything, once no bet is open."""
    assert watcher.contradictions == []
    last = await watcher.enters("betting") - 1
    books = await Books.read(casino.dsn, watcher.table)
    assert books.problems(crowd.players) == []
    answers = Counter(said.code or said.name for player in crowd.players for said in player.log)
    repeated, differing = await crowd.say_again(books.used_up, REPEATS_MAX)
    assert differing == []
    again = await Books.read(casino.dsn, watcher.table)
    assert again.problems(crowd.players) == [], "after everything was said again"
    assert await verify_rounds(casino, watcher.table, range(1, last + 1)) == []
    for number, crash in watcher.crashes.items():
        assert number > last or round(crash["crash_point"] * 100) == books.crash_points[number]
    report = await asyncio.to_thread(casino.audit)
    assert answers["place_crash_bet"] > len(crowd.players)
    assert answers["cash_out_crash"] > 0
    print(f"\n{last} rounds verified; {dict(answers)}; {repeated} said again, the same answers")
    assert report["ok"]
    print(f"the table died in {dict(books.deaths)}")
