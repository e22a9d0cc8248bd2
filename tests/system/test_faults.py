"""The promise, tested from outside: whatever dies, an acknowledged command is applied exactly once."""

import asyncio
import signal
from collections.abc import Callable
from typing import Any

import pytest

from tests.system.arena import Arena
from tests.system.fault_checks import FAULT_SECONDS, PLAYERS, SESSION_HOST, checked, until

pytestmark = pytest.mark.system


async def _under_load(arena: Arena, hurt: Callable[[int], None], every_s: float) -> dict[str, Any]:
    async with arena.bots(PLAYERS, FAULT_SECONDS) as playing:
        await asyncio.sleep(1.0)
        for number in range(max(1, int((FAULT_SECONDS - 4) / every_s))):
            hurt(number)
            await asyncio.sleep(every_s)
        return await checked(arena, await playing)


async def test_sessions_hosts_killed_under_load(arena: Arena) -> None:
    await _under_load(arena, lambda number: arena.kill(SESSION_HOST, number), 5.0)


async def test_gateway_killed_under_load(arena: Arena) -> None:
    report = await _under_load(arena, lambda _: arena.kill("Gateway"), 5.0)
    assert report["reconnects"] >= PLAYERS


async def test_coordinator_killed_under_load(arena: Arena) -> None:
    await _under_load(arena, lambda _: arena.kill("Coordinator"), 4.0)


async def test_coordinator_and_host_killed_together(arena: Arena) -> None:
    def hurt(number: int) -> None:
        arena.kill("Coordinator")
        arena.kill(SESSION_HOST, number)

    await _under_load(arena, hurt, 6.0)


async def test_postgres_killed_under_load(arena: Arena) -> None:
    def hurt(_: int) -> None:
        postmaster = next(p for p in arena.processes() if "-D" in p.cmdline() and "postgres" in p.name())
        postmaster.kill()

    # Not more often than its supervisor is ready to restart it.
    await _under_load(arena, hurt, max(8.0, FAULT_SECONDS / 3))


def _session_hosts(arena: Arena) -> list[dict[str, Any]]:
    return [host for host in arena.status()["hosts"] if host["name"].startswith("session-host-")]


async def test_a_stopped_host_is_replaced_and_stays_silent(arena: Arena) -> None:
    before = {host["incarnation"] for host in _session_hosts(arena)}
    async with arena.bots(PLAYERS, FAULT_SECONDS + 6) as playing:
        await asyncio.sleep(1.0)
        victim = arena.actors(SESSION_HOST)[0]
        victim.send_signal(signal.SIGSTOP)
        # Past its lease, and past the takeover by the other host.
        await asyncio.sleep(7.0)
        owning = {h["incarnation"] for h in _session_hosts(arena) if h["shards"] and not h["fenced"]}
        assert len(owning & before) == 1
        victim.send_signal(signal.SIGCONT)
        await asyncio.sleep(1.0)
        # Its first renewal or commit tells it that it was fenced, and it ends itself.
        assert not victim.is_running() or victim.pid not in {p.pid for p in arena.actors(SESSION_HOST)}
        await checked(arena, await playing)


async def test_hosts_added_and_removed_under_load(arena: Arena) -> None:
    async with arena.bots(PLAYERS, FAULT_SECONDS + 8) as playing:
        await asyncio.sleep(2.0)
        arena.run("scale", "--session-hosts", "3")
        await until(lambda: sum(1 for h in _session_hosts(arena) if h["shards"] >= 20) == 3)
        arena.run("scale", "--session-hosts", "2")
        await until(lambda: sum(1 for h in _session_hosts(arena) if h["shards"]) == 2)
        report = await checked(arena, await playing)
    assert report["reconnects"] == 0, "a move of shards must not cost a socket"
