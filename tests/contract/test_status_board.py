"""The status board on an embedded Valkey: what is said is read, and forgotten."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis.asyncio

from persistence.embedded.valkey import EmbeddedValkey
from persistence.status_board import BoardUnavailable, StatusBoard


@pytest.fixture
def valkey() -> Iterator[EmbeddedValkey]:
    data = Path(tempfile.mkdtemp(prefix="casino-test-"))
    server = EmbeddedValkey(data)
    server.start()
    yield server
    server.stop()
    shutil.rmtree(data, ignore_errors=True)


async def test_each_process_says_one_thing_at_a_time(valkey: EmbeddedValkey) -> None:
    board, other = StatusBoard(valkey.url), StatusBoard(valkey.url)
    assert await board.read() == {}
    await board.write("gateway-0", {"connections": 1})
    await other.write("event-relay", {"lag_seconds": 0.25, "recent": [{"seq": 1}]})
    await board.write("gateway-0", {"connections": 2})
    assert await other.read() == {
        "gateway-0": {"connections": 2},
        "event-relay": {"lag_seconds": 0.25, "recent": [{"seq": 1}]},
    }
    await board.close()
    await other.close()


async def test_whoever_falls_silent_is_forgotten(valkey: EmbeddedValkey) -> None:
    board = StatusBoard(valkey.url)
    await board.write("gateway-0", {})
    client = redis.asyncio.Redis.from_url(valkey.url)
    assert 0 < await client.pttl("casino:status:gateway-0") <= 10_000
    await client.aclose()
    await board.close()


async def test_without_redis_everybody_is_told_so(valkey: EmbeddedValkey) -> None:
    board = StatusBoard(valkey.url, timeout_s=0.5)
    valkey.stop()
    with pytest.raises(BoardUnavailable):
        await board.write("gateway-0", {})
    with pytest.raises(BoardUnavailable):
        await board.read()
    await board.close()
