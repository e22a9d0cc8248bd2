"""The shared counter on an embedded Valkey, and Valkey's own life."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis.asyncio

from persistence.embedded.process import EmbeddedServerError
from persistence.embedded.valkey import EmbeddedValkey
from persistence.redis import CounterUnavailable, WindowCounter


@pytest.fixture
def valkey() -> Iterator[EmbeddedValkey]:
    data = Path(tempfile.mkdtemp(prefix="casino-test-"))
    server = EmbeddedValkey(data)
    server.start()
    yield server
    server.stop()
    shutil.rmtree(data, ignore_errors=True)


async def test_uses_are_counted_within_a_window(valkey: EmbeddedValkey) -> None:
    one = WindowCounter(valkey.url, "guest_rate", uses_max=2, window_s=0.4)
    two = WindowCounter(valkey.url, "guest_rate", uses_max=2, window_s=0.4)
    assert await one.allow("10.0.0.1") is None
    assert await two.allow("10.0.0.1") is None
    wait_s = await one.allow("10.0.0.1")
    assert wait_s is not None
    assert 0 < wait_s <= 0.4
    assert await one.allow("10.0.0.2") is None
    await asyncio.sleep(wait_s + 0.05)
    assert await one.allow("10.0.0.1") is None
    await one.close()
    await two.close()


async def test_every_key_expires(valkey: EmbeddedValkey) -> None:
    counter = WindowCounter(valkey.url, "guest_rate", uses_max=1, window_s=60)
    await asyncio.gather(*(counter.allow("::1") for _ in range(20)))
    client = redis.asyncio.from_url(valkey.url)
    assert await client.keys("*") == [b"casino:guest_rate:::1"]
    assert 0 < await client.pttl("casino:guest_rate:::1") <= 60_000
    # Should it ever lose its time to live, the next use gives it a new one.
    await client.persist("casino:guest_rate:::1")
    await counter.allow("::1")
    assert 0 < await client.pttl("casino:guest_rate:::1") <= 60_000
    await client.aclose()
    await counter.close()


async def test_a_stopped_server_is_given_up_soon(valkey: EmbeddedValkey) -> None:
    counter = WindowCounter(valkey.url, "guest_rate", uses_max=1, window_s=60, timeout_s=0.1)
    assert await counter.allow("a") is None
    assert valkey.pid is not None
    os.kill(valkey.pid, signal.SIGSTOP)
    try:
        async with asyncio.timeout(2):
            with pytest.raises(CounterUnavailable):
                await counter.allow("a")
    finally:
        os.kill(valkey.pid, signal.SIGCONT)
    assert await counter.allow("b") is None
    await counter.close()


async def test_a_dead_server_comes_back_empty(valkey: EmbeddedValkey) -> None:
    counter = WindowCounter(valkey.url, "guest_rate", uses_max=1, window_s=60)
    assert await counter.allow("a") is None
    assert valkey.pid is not None
    os.kill(valkey.pid, signal.SIGKILL)
    async with asyncio.timeout(10):
        while True:
            try:
                assert await counter.allow("a") is None
            except CounterUnavailable:
                await asyncio.sleep(0.02)
            else:
                break
    assert valkey.restarts == 1
    await counter.close()


def test_a_second_launcher_is_refused(valkey: EmbeddedValkey) -> None:
    with pytest.raises(EmbeddedServerError, match="in use"):
        EmbeddedValkey(valkey._data).start()


async def test_a_forgotten_key_begins_anew(valkey: EmbeddedValkey) -> None:
    counter = WindowCounter(valkey.url, "login", uses_max=1, window_s=60)
    assert await counter.allow("a") is None
    assert await counter.allow("b") is None
    await counter.forget("a")
    await counter.forget("unknown")
    assert await counter.allow("a") is None
    assert await counter.allow("b") is not None
    valkey.stop()
    with pytest.raises(CounterUnavailable):
        await counter.forget("b")
    await counter.close()
