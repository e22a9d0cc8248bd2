"""What was acknowledged is there, whatever became of the process."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from persistence.clickhouse.client import StoreUnavailable
from persistence.clickhouse.store import ClickHouseStore, StoreSettings
from runtime.clock import SystemClock
from tests.contract.clickhouse_engines import ask, directory, opened, spin, turn

ROOT = Path(__file__).parents[2]


@contextmanager
def writer(path: Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "tests.contract.clickhouse_writer", str(path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


async def test_a_restart_keeps_everything() -> None:
    with directory() as path:
        for seq in (1, 2):
            async with opened(path) as clickhouse:
                store = ClickHouseStore(clickhouse, SystemClock(), StoreSettings(insert_interval_s=0))
                await store.publish([turn("session/ann", seq, spin(0), spin(0))])
                assert await ask(clickhouse, "SELECT count() FROM events") == [(2 * seq,)]


async def test_a_killed_process_has_lost_nothing_that_it_acknowledged() -> None:
    with directory() as path:
        # Each dies somewhere else in the middle of its next insert.
        for acknowledgements in (3, 5, 8):
            with writer(path) as process:
                assert process.stdout is not None
                for _ in range(acknowledgements):
                    acknowledged = int(process.stdout.readline())
                process.kill()
                acknowledged = int((process.stdout.read().splitlines() or [acknowledged])[-1])
            async with opened(path) as clickhouse:
                ((seqs, events),) = await ask(
                    clickhouse, f"SELECT uniqExact(seq), count() FROM events WHERE seq <= {acknowledged}"
                )
            assert (seqs, events) == (acknowledged, 2 * acknowledged)


async def test_a_directory_belongs_to_one_process_until_it_is_dead() -> None:
    with directory() as path:
        async with opened(path) as clickhouse:
            with writer(path) as process:
                assert process.stdout is not None
                assert process.stdout.readline()
                with pytest.raises(StoreUnavailable):
                    await ask(clickhouse, "SELECT 1")
            ((events,),) = await ask(clickhouse, "SELECT count() FROM events")
            assert events >= 40
