"""One thread, a bounded queue, a deadline: what a call that hangs does to the others."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest

from persistence.clickhouse.client import ClickHouse, DataRefused, StoreUnavailable
from tests.contract.clickhouse_engines import ask, directory, opened, tell


async def test_a_hung_call_is_given_up_and_the_next_has_a_thread_of_its_own() -> None:
    with directory() as path:
        async with opened(path) as clickhouse:
            await tell(clickhouse, "CREATE TABLE t (a UInt8) ENGINE = MergeTree ORDER BY a")
            release, entered = threading.Event(), threading.Event()

            def hang(client: object) -> None:
                entered.set()
                release.wait()

            hung = asyncio.create_task(clickhouse.call(hang, timeout_s=0.5))
            await asyncio.to_thread(entered.wait)
            behind = asyncio.create_task(ask(clickhouse, "SELECT 1"))
            with pytest.raises(StoreUnavailable):
                await hung
            with pytest.raises(StoreUnavailable):
                await behind
            assert await ask(clickhouse, "SELECT count() FROM t") == [(0,)]
            release.set()


async def test_threads_that_hang_are_bounded() -> None:
    with directory() as path:
        async with opened(path, threads_given_up_max=1) as clickhouse:
            release = threading.Event()
            for _ in range(2):
                with pytest.raises(StoreUnavailable, match="no answer"):
                    await clickhouse.call(lambda _: release.wait(), timeout_s=1.0)
            with pytest.raises(StoreUnavailable, match="2 calls hang"):
                await ask(clickhouse, "SELECT 1")
            release.set()
            while sum(thread.name == "clickhouse" for thread in threading.enumerate()):
                await asyncio.sleep(0.01)
            assert await ask(clickhouse, "SELECT 1") == [(1,)]


async def test_the_queue_is_bounded() -> None:
    with directory() as path:
        async with opened(path, calls_waiting_max=2) as clickhouse:
            release = threading.Event()
            calls = [asyncio.create_task(clickhouse.call(lambda _: release.wait()))]
            await asyncio.sleep(0.1)
            calls += [asyncio.create_task(clickhouse.call(lambda _: True)) for _ in range(2)]
            await asyncio.sleep(0)
            with pytest.raises(StoreUnavailable, match="waiting"):
                await clickhouse.call(lambda _: True)
            release.set()
            assert await asyncio.gather(*calls) == [True, True, True]


async def test_errors_are_told_apart() -> None:
    with directory() as path:
        async with opened(path) as clickhouse:
            await tell(clickhouse, "CREATE TABLE t (a UInt8) ENGINE = MergeTree ORDER BY a")
            with pytest.raises(DataRefused):
                await clickhouse.call(
                    lambda client: client.raw_insert("t", ["a"], b'{"a":"x"}', fmt="JSONEachRow")
                )
            with pytest.raises(StoreUnavailable):
                await ask(clickhouse, "SELECT * FROM nowhere")
            with pytest.raises(ZeroDivisionError):
                await clickhouse.call(lambda client: 1 // 0)
            assert await ask(clickhouse, "SELECT count() FROM t") == [(0,)]
            await clickhouse.close()
            with pytest.raises(StoreUnavailable, match="closed"):
                await ask(clickhouse, "SELECT 1")


async def test_two_in_one_process_share_a_directory() -> None:
    with directory() as path:
        async with opened(path) as first:
            await tell(first, "CREATE TABLE t (a UInt8) ENGINE = MergeTree ORDER BY a")
            async with opened(path) as second:
                await tell(second, "INSERT INTO t VALUES (7)")
            assert await ask(first, "SELECT a FROM t") == [(7,)]


async def test_a_directory_that_cannot_be_made_is_a_failure_that_may_pass(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    clickhouse = ClickHouse(tmp_path / "file" / "store")
    with pytest.raises(StoreUnavailable):
        await ask(clickhouse, "SELECT 1")
    await clickhouse.close()
