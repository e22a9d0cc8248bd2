from pathlib import Path

import asyncpg
import psutil
import pytest

from benchmarks.baselines.postgres import SETTINGS, own_postgres
from persistence.embedded import postgres as casino


def test_the_settings_are_the_casinos() -> None:
    assert SETTINGS == casino.SETTINGS


async def test_it_runs_under_them_and_ends(tmp_path: Path) -> None:
    async with own_postgres(tmp_path) as dsn:
        connection = await asyncpg.connect(dsn)
        try:
            for name in ("fsync", "synchronous_commit", "full_page_writes"):
                assert await connection.fetchval("SELECT current_setting($1)", name) == "on"
            assert await connection.fetchval("SHOW shared_buffers") == "256MB"
            pid = await connection.fetchval("SELECT pg_backend_pid()")
        finally:
            await connection.close()
        postmaster = int((tmp_path / "postgres" / "postmaster.pid").read_text().splitlines()[0])
        assert psutil.pid_exists(postmaster)
    assert not psutil.pid_exists(postmaster)
    assert not psutil.pid_exists(pid)


async def test_it_ends_when_its_user_fails(tmp_path: Path) -> None:
    async def fail() -> None:
        async with own_postgres(tmp_path):
            pids.append(int((tmp_path / "postgres" / "postmaster.pid").read_text().splitlines()[0]))
            raise ZeroDivisionError

    pids: list[int] = []
    with pytest.raises(ZeroDivisionError):
        await fail()
    assert pids
    assert not psutil.pid_exists(pids[0])
