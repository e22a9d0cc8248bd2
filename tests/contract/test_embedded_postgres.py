"""The embedded Postgres through every way of dying, its own and its launcher's."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import asyncpg
import pytest

from persistence.embedded.leftovers import processes_in
from persistence.embedded.postgres import EmbeddedPostgres
from persistence.embedded.process import EmbeddedServerError
from persistence.postgres.durability import NotDurable, check_durability
from persistence.postgres.journal import PostgresJournal
from persistence.postgres.membership import PostgresMembership
from persistence.postgres.migrate import current_revision, head_revision, migrate
from runtime.errors import JournalError
from tests.contract.turns import ANN, batch, turn


@pytest.fixture
def data() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="casino-test-"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def server(data: Path) -> Iterator[EmbeddedPostgres]:
    server = EmbeddedPostgres(data)
    yield server
    server.stop()


def until(condition: Callable[[], bool], timeout_s: float = 20.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


async def put(dsn: str, value: int) -> None:
    connection = await asyncpg.connect(dsn)
    await connection.execute("CREATE TABLE IF NOT EXISTS kept (value int)")
    await connection.execute("INSERT INTO kept VALUES ($1)", value)
    await connection.close()


async def kept(dsn: str) -> list[int]:
    connection = await asyncpg.connect(dsn)
    rows = await connection.fetch("SELECT value FROM kept ORDER BY value")
    await connection.close()
    return [row["value"] for row in rows]


def test_it_starts_stops_and_starts_again(server: EmbeddedPostgres, data: Path) -> None:
    dsn = server.start()
    assert server.is_running()
    pid = server.pid
    assert pid is not None
    assert os.getpgid(pid) != os.getpgid(0), "Ctrl-C must not reach it before the launcher stops it"
    asyncio.run(put(dsn, 1))
    server.stop()
    server.stop()
    assert not server.is_running()
    assert processes_in("postgres", data / "postgres") == []
    assert server.start() == dsn
    assert asyncio.run(kept(dsn)) == [1]


def test_it_is_durable_and_says_which_setting_is_not(server: EmbeddedPostgres) -> None:
    dsn = server.start()
    asyncio.run(check_durability(dsn))

    async def spoil() -> None:
        connection = await asyncpg.connect(dsn)
        await connection.execute("ALTER DATABASE casino SET synchronous_commit = off")
        await connection.close()

    asyncio.run(spoil())
    with pytest.raises(NotDurable, match="synchronous_commit = off") as caught:
        asyncio.run(check_durability(dsn))
    assert caught.value.setting == "synchronous_commit"


@pytest.mark.parametrize("setting", ["fsync", "full_page_writes"])
def test_a_server_that_forgets_is_recognised(data: Path, setting: str) -> None:
    server = EmbeddedPostgres(data, settings={setting: "off"})
    dsn = server.start()
    try:
        with pytest.raises(NotDurable, match=setting):
            asyncio.run(check_durability(dsn))
    finally:
        server.stop()


def test_a_second_launcher_is_refused(server: EmbeddedPostgres, data: Path) -> None:
    dsn = server.start()
    with pytest.raises(EmbeddedServerError, match="in use by another casino"):
        EmbeddedPostgres(data).start()
    asyncio.run(put(dsn, 1))


def test_after_kill_9_it_is_restarted_and_nothing_committed_is_lost(server: EmbeddedPostgres) -> None:
    dsn = server.start()

    async def play() -> None:
        await migrate(dsn)
        membership = PostgresMembership(dsn)
        journal = PostgresJournal(dsn)
        incarnation = await membership.register("host", "unix:x", 60.0)
        acknowledged = 0
        for seq in range(1, 400):
            if seq in (100, 200):
                assert server.pid is not None
                os.kill(server.pid, signal.SIGKILL)
            while True:
                try:
                    await journal.commit(batch(incarnation, turn(ANN, seq)))
                except JournalError:
                    if await journal.find([(ANN, f"command-{seq}")]):
                        break
                else:
                    break
            acknowledged = seq
        [recovered] = await journal.load([ANN])
        assert [row.seq for row in recovered.tail] == list(range(1, acknowledged + 1))
        await journal.close()
        await membership.close()

    asyncio.run(play())
    assert server.restarts == 2


def test_a_dead_server_is_started_again_by_a_new_launcher(server: EmbeddedPostgres, data: Path) -> None:
    """The launcher's successor meets a stale pid file, whose pid is somebody else's by now."""
    dsn = server.start()
    asyncio.run(put(dsn, 7))
    server.stop()
    stranger = subprocess.Popen(["sleep", "60"])
    try:
        (data / "postgres" / "postmaster.pid").write_text(
            f"{stranger.pid}\n{data}/postgres\n1700000000\n5432\n/tmp\n\n  1234567         0\nready   \n"
        )
        assert not server.is_running()
        assert server.start() == dsn
        assert stranger.poll() is None
        assert asyncio.run(kept(dsn)) == [7]
    finally:
        stranger.kill()
        stranger.wait()


_LAUNCHER = """
import sys, time
from pathlib import Path
from persistence.embedded.postgres import EmbeddedPostgres
server = EmbeddedPostgres(Path(sys.argv[1]))
print(server.start(), flush=True)
time.sleep(600)
"""


def launch(data: Path) -> tuple[subprocess.Popen[str], str]:
    launcher = subprocess.Popen(
        [sys.executable, "-c", _LAUNCHER, str(data)], stdout=subprocess.PIPE, text=True
    )
    assert launcher.stdout is not None
    return launcher, launcher.stdout.readline().strip()


def test_it_shuts_down_when_its_launcher_is_killed(data: Path) -> None:
    launcher, dsn = launch(data)
    asyncio.run(put(dsn, 1))
    launcher.kill()
    launcher.wait()
    until(lambda: processes_in("postgres", data / "postgres") == [])
    assert "database system is shut down" in (data / "postgres.log").read_text()


def test_a_new_launcher_can_follow_at_once(data: Path, server: EmbeddedPostgres) -> None:
    launcher, dsn = launch(data)
    asyncio.run(put(dsn, 1))
    launcher.kill()
    launcher.wait()
    assert server.start() == dsn
    assert asyncio.run(kept(dsn)) == [1]


def test_orphans_of_a_killed_server_are_ended_before_the_next_start(
    data: Path, server: EmbeddedPostgres
) -> None:
    launcher, dsn = launch(data)
    asyncio.run(put(dsn, 1))
    # Stopped, so that no child can notice in time that the server is gone.
    processes = processes_in("postgres", data / "postgres")
    pids = {process.pid for process in processes}
    [head] = [process for process in processes if process.ppid() not in pids]
    launcher.send_signal(signal.SIGSTOP)
    for process in processes:
        if process.pid != head.pid:
            process.suspend()
    head.kill()
    launcher.kill()
    launcher.wait()
    try:
        assert processes_in("postgres", data / "postgres") != []
        assert server.start() == dsn
        assert asyncio.run(kept(dsn)) == [1]
        assert not pids & {process.pid for process in processes_in("postgres", data / "postgres")}
    finally:
        for process in processes:
            if process.is_running() and process.pid in pids - {server.pid}:
                process.kill()


def test_a_failed_start_quotes_the_log(data: Path) -> None:
    with pytest.raises(EmbeddedServerError, match="unrecognized configuration parameter") as caught:
        EmbeddedPostgres(data, settings={"no_such_setting": "1"}).start()
    assert "postgres.log" in str(caught.value)
    # The directory is free again, and good.
    server = EmbeddedPostgres(data)
    server.start()
    server.stop()


def test_a_deep_data_directory_is_no_obstacle(data: Path) -> None:
    server = EmbeddedPostgres(data / ("long" * 30) / "data")
    dsn = server.start()
    asyncio.run(put(dsn, 1))
    server.stop()


def test_migrations_run_once_however_many_start_them(server: EmbeddedPostgres) -> None:
    dsn = server.start()

    async def check() -> None:
        assert await current_revision(dsn) is None
        assert set(await asyncio.gather(*(migrate(dsn) for _ in range(4)))) == {head_revision()}
        assert await current_revision(dsn) == head_revision()
        assert await migrate(dsn) == head_revision()

    asyncio.run(check())
