"""The same promise where a whole casino ends, sessions come and go, or the database's answers are lost."""

import asyncio
import os
import signal
from pathlib import Path

import psutil
import pytest

from benchmarks.reconcile_log import check_log
from persistence.embedded.postgres import EmbeddedPostgres
from tests.system.arena import Arena, running
from tests.system.fault_checks import DEDICATED, FAULT_SECONDS, PLAYERS, checked, until
from tests.system.reply_dropper import ReplyDropper

pytestmark = pytest.mark.system


async def test_everything_killed_and_started_again(data: Path) -> None:
    arena = Arena(data)
    arena.up()
    try:
        async with arena.bots(PLAYERS, FAULT_SECONDS + 23) as playing:
            await asyncio.sleep(2.0)
            arena.kill_everything()
            await asyncio.to_thread(arena.up)
            await checked(arena, await playing)
    finally:
        arena.stop()
        arena.kill_everything()


async def test_passivated_sessions_come_back(data: Path) -> None:
    with running(data, CASINO_PASSIVATE_AFTER_S="0.3") as arena:
        # A process of one's own takes seconds to start: where every session has one, slower players.
        seconds, think = (25, 4) if DEDICATED else (8, 1.5)
        async with arena.bots(min(30, PLAYERS), seconds, think=think) as playing:
            await checked(arena, await playing)


async def test_dedicated_placement_plays_and_survives(data: Path) -> None:
    with running(data, CASINO_SESSION_PLACEMENT="dedicated") as arena:
        async with arena.bots(4, 20, sign_up_parallel=4) as playing:
            await asyncio.sleep(2.0)
            assert len(arena.actors("DedicatedHost")) == 4
            arena.kill("DedicatedHost", 1)
            await asyncio.sleep(5.0)
            stopped = arena.actors("DedicatedHost")[0]
            stopped.send_signal(signal.SIGSTOP)
            # Nobody else can have its name: past its lease it is ended, and begins a new life.
            await until(lambda: not stopped.is_running() or stopped.status() == psutil.STATUS_ZOMBIE)
            await checked(arena, await playing)


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
                async with arena.bots(PLAYERS, FAULT_SECONDS, think=0) as playing:
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
