"""The promise, tested from outside: whatever dies, an acknowledged command is applied exactly once."""

import asyncio
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from benchmarks.reconcile_log import check_log
from persistence.embedded.postgres import EmbeddedPostgres
from tests.system.arena import Arena, BotRun, running

pytestmark = pytest.mark.system

FAULT_SECONDS = float(os.environ.get("CASINO_FAULT_SECONDS", "10"))
"""How long each fault test plays; set it to 60 or more for a longer look."""
DEDICATED = os.environ.get("CASINO_SESSION_PLACEMENT") == "dedicated"
SESSION_HOST = "DedicatedHost" if DEDICATED else "SessionHost"
"""The class of the processes that hold sessions."""
"""Export it to run the suite with a process for each session; with few players, then."""
PLAYERS = int(os.environ.get("CASINO_FAULT_PLAYERS", "100"))


async def _checked(arena: Arena, run: BotRun) -> dict[str, Any]:
    """The bots' report, after comparing their log with the journal and auditing the ledger."""
    check = check_log(run.log, await arena.turns())
    print(check.summary())
    print(
        {
            k: run.report[k]
            for k in (
                "acknowledged",
                "reconnects",
                "resent",
                "recovery_s",
                "bot_stall_p50_s",
                "bot_stall_max_s",
            )
        }
    )
    assert check.ok, (check.summary(), check.examples)
    assert run.status == 0, (run.report, run.said)
    assert run.report["event_gaps"] == 0
    arena.audit()
    return run.report


async def _under_load(arena: Arena, hurt: Callable[[int], None], every_s: float) -> dict[str, Any]:
    async with arena.bots(PLAYERS, FAULT_SECONDS) as playing:
        await asyncio.sleep(3.0)
        for number in range(max(1, int((FAULT_SECONDS - 4) / every_s))):
            hurt(number)
            await asyncio.sleep(every_s)
        return await _checked(arena, await playing)


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
        await asyncio.sleep(3.0)
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
        await _checked(arena, await playing)


async def test_hosts_added_and_removed_under_load(arena: Arena) -> None:
    async with arena.bots(PLAYERS, FAULT_SECONDS + 8) as playing:
        await asyncio.sleep(2.0)
        arena.run("scale", "--session-hosts", "3")
        await _until(lambda: sum(1 for h in _session_hosts(arena) if h["shards"] >= 20) == 3)
        arena.run("scale", "--session-hosts", "2")
        await _until(lambda: sum(1 for h in _session_hosts(arena) if h["shards"]) == 2)
        report = await _checked(arena, await playing)
    assert report["reconnects"] == 0, "a move of shards must not cost a socket"


async def test_everything_killed_and_started_again(data: Path) -> None:
    arena = Arena(data)
    arena.up()
    try:
        async with arena.bots(PLAYERS, FAULT_SECONDS + 20) as playing:
            await asyncio.sleep(6.0)
            arena.kill_everything()
            await asyncio.to_thread(arena.up)
            await _checked(arena, await playing)
    finally:
        arena.stop()
        arena.kill_everything()


async def test_passivated_sessions_come_back(data: Path) -> None:
    with running(data, CASINO_PASSIVATE_AFTER_S="0.3") as arena:
        # A process of one's own takes seconds to start: where every session has one, slower players.
        seconds, think = (25, 4) if DEDICATED else (8, 1.5)
        async with arena.bots(min(30, PLAYERS), seconds, think=think) as playing:
            await _checked(arena, await playing)


async def test_dedicated_placement_plays_and_survives(data: Path) -> None:
    with running(data, CASINO_SESSION_PLACEMENT="dedicated") as arena:
        async with arena.bots(4, 30, sign_up_parallel=4) as playing:
            await asyncio.sleep(12.0)
            assert len(arena.actors("DedicatedHost")) == 4
            arena.kill("DedicatedHost", 1)
            await asyncio.sleep(5.0)
            stopped = arena.actors("DedicatedHost")[0]
            stopped.send_signal(signal.SIGSTOP)
            # Nobody else can have its name: past its lease it is ended, and begins a new life.
            await _until(lambda: not stopped.is_running() or stopped.status() == psutil.STATUS_ZOMBIE)
            await _checked(arena, await playing)


async def _until(condition: Callable[[], bool], deadline_s: float = 30.0) -> None:
    async with asyncio.timeout(deadline_s):
        while not await asyncio.to_thread(condition):
            await asyncio.sleep(0.3)


class ReplyDropper:
    """A proxy in front of Postgres that now and then swallows a reply and hangs up: the commit
    happened, and nobody is told."""

    def __init__(self, upstream: str, path: str) -> None:
        self._upstream, self._path = upstream, path
        self._count = 0
        self.dropped = 0

    async def __aenter__(self) -> "ReplyDropper":
        self._server = await asyncio.start_unix_server(self._serve, self._path)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        up_reader, up_writer = await asyncio.open_unix_connection(self._upstream)

        async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter, replies: bool) -> None:
            while data := await source.read(65536):
                if replies and self._is_to_drop():
                    self.dropped += 1
                    break
                sink.write(data)
                await sink.drain()
            for end in (writer, up_writer):
                end.close()

        await asyncio.gather(
            pump(reader, up_writer, False), pump(up_reader, writer, True), return_exceptions=True
        )

    def _is_to_drop(self) -> bool:
        self._count += 1
        return self._count > 200 and self._count % 400 == 0


async def test_lost_commit_replies_are_resolved(data: Path) -> None:
    data.mkdir()
    server = EmbeddedPostgres(data / "elsewhere")
    dsn = await asyncio.to_thread(server.start)
    folder = dsn.partition("host=")[2].replace("%2F", "/")
    proxy_folder = Path("/tmp") / f"casino-proxy-{os.getpid()}"  # a socket path must be short
    proxy_folder.mkdir(exist_ok=True)
    try:
        async with ReplyDropper(f"{folder}/.s.PGSQL.5432", f"{proxy_folder}/.s.PGSQL.5432") as proxy:
            environment = {"CASINO_POSTGRES_DSN": dsn.replace(dsn.partition("host=")[2], str(proxy_folder))}
            arena = Arena(data / "casino", **environment)
            await asyncio.to_thread(arena.up)
            try:
                async with arena.bots(PLAYERS, FAULT_SECONDS) as playing:
                    run = await playing
                dropped = proxy.dropped
                assert dropped > 5
                check = check_log(run.log, await arena.turns(dsn))
                print(f"{dropped} replies dropped; {check.summary()}")
                assert check.ok, (check.summary(), check.examples)
            finally:
                await asyncio.to_thread(arena.stop)
    finally:
        await asyncio.to_thread(server.stop)
