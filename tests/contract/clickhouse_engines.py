"""The engines that the analytics store is tested on, and events to put there."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from persistence.clickhouse.client import ClickHouse
from runtime.envelope import TurnEvents
from runtime.identity import ActorId

SERVER = Path(__file__).with_name("clickhouse_http.py")
NOW_MS = 1_767_225_600_000
"""Midnight: the first millisecond of an hour, and of a day."""


class HttpServer:
    """A process that can be stopped in the middle of its work."""

    def __init__(self, directory: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, SERVER, directory, "0"], stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline().split()[1])
        self.url = f"http://default:sesame@127.0.0.1:{self.port}/games"

    def stop(self) -> None:
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()


@contextmanager
def directory() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="casino-clickhouse-"))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


@contextmanager
def http_server(path: Path) -> Iterator[HttpServer]:
    server = HttpServer(path)
    try:
        yield server
    finally:
        server.close()


@asynccontextmanager
async def opened(target: Path | str, **options: Any) -> AsyncIterator[ClickHouse]:
    clickhouse = ClickHouse(target, **options)
    try:
        yield clickhouse
    finally:
        await clickhouse.close()


@contextmanager
def target(kind: str) -> Iterator[Path | str]:
    """Where a fresh store is: chDB in this process; or the ClickHouse server that
    ``CASINO_CLICKHOUSE_URL`` names, in a database of its own, and without one chDB behind HTTP."""
    if kind == "http" and (given := os.environ.get("CASINO_CLICKHOUSE_URL")):
        yield urlsplit(given)._replace(path=f"/test_{os.getpid()}_{os.urandom(4).hex()}").geturl()
        return
    with directory() as path:
        if kind == "chdb":
            yield path
            return
        with http_server(path) as server:
            yield server.url


def turn(
    actor: str, seq: int, *events: dict[str, Any] | bytes, at_ms: int = NOW_MS, command_id: str = "c"
) -> TurnEvents:
    """Of events as maps, or as whatever JSON."""
    raw = [msgspec.Raw(event if isinstance(event, bytes) else msgspec.json.encode(event)) for event in events]
    return TurnEvents(ActorId(actor), seq, command_id, at_ms, raw)


def spin(payout: int, stake: int = 10) -> dict[str, Any]:
    return {"type": "slots_spun", "game": "slots", "stake": stake, "payout": payout, "stops": [1, 2, 3]}


async def ask(clickhouse: ClickHouse, query: str) -> Sequence[Sequence[Any]]:
    return await clickhouse.call(lambda client: client.query(query).result_rows)


async def tell(clickhouse: ClickHouse, statement: str) -> None:
    await clickhouse.call(lambda client: client.command(statement))
