"""Compares what analytics have with what the journal has, event by event, by no code of the house's own but
its decoders. Run as a program on the directory of a casino that is down: only one process can have it.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

import asyncpg
import msgspec

from persistence.clickhouse.client import ClickHouse
from runtime.turn import decode_body

SAMPLED = 7
"""Of this many turns of an actor, one is compared in content, too."""

USUAL_QUERIES = (
    "SELECT action_type, count() FROM events WHERE ts > now() - INTERVAL 1 HOUR GROUP BY action_type "
    "ORDER BY count() DESC;",
    "SELECT user_id, sum(wins) AS w, sum(losses) AS l FROM game_stats WHERE date >= today()-7 "
    "GROUP BY user_id ORDER BY w DESC LIMIT 50;",
)

Key = tuple[str, int, int]
"""Actor, seq, index."""


class Book(msgspec.Struct):
    """What one side has of the turns recorded before a moment."""

    events: int = 0
    rows: int = 0
    """The same, with those counted twice that lie there twice."""
    checksums: dict[str, int] = {}
    """By actor: the sum over its events of a number that no two of them share."""
    contents: dict[str, Any] = {}
    """Of sampled events, by ``actor seq index``."""
    turns: int = 0

    def enter(self, actor: str, seq: int, events: list[Any]) -> None:
        self.turns += 1
        self.events += len(events)
        for index, event in enumerate(events):
            self.checksums[actor] = self.checksums.get(actor, 0) + checksum(seq, index)
            if seq % SAMPLED == 0:
                self.contents[f"{actor} {seq} {index}"] = event


def checksum(seq: int, index: int) -> int:
    number = seq * 4096 + index
    return number * number


async def journal_book(dsn: str, until_ms: int, secret_events: frozenset[str] = frozenset()) -> Book:
    book = Book()
    connection = await asyncpg.connect(dsn)
    try:
        async with connection.transaction():
            rows = connection.cursor(
                "SELECT actor, seq, body FROM journal WHERE recorded_ms < $1", until_ms, prefetch=5000
            )
            async for actor, seq, body in rows:
                events = msgspec.msgpack.decode(decode_body(body).events)
                book.enter(actor, seq, [_redacted(event, secret_events) for event in events])
    finally:
        await connection.close()
    book.rows = book.events
    return book


def _redacted(event: dict[str, Any], secret_events: frozenset[str]) -> dict[str, Any]:
    return {"type": event["type"], "redacted": True} if event["type"] in secret_events else event


def clickhouse_book(directory: Path, until_ms: int) -> Book:
    """In a process of its own, so that the caller's engine is free for the next directory."""
    return msgspec.json.decode(_program("read", directory, until_ms), type=Book)


def lose_rows(directory: Path) -> int:
    """As somebody might who should not have. Returns how many."""
    return int(_program("lose", directory, 0))


def _program(what: str, directory: Path, until_ms: int) -> bytes:
    done = subprocess.run(
        [sys.executable, "-m", "tests.system.event_books", what, str(directory), str(until_ms)],
        capture_output=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


async def _read(directory: Path, until_ms: int) -> Book:
    clickhouse = ClickHouse(directory, timeout_s=200)
    before = f"toUnixTimestamp64Milli(ts) < {int(until_ms)}"

    async def ask(query: str) -> Any:
        return await clickhouse.call(lambda client: client.query(query).result_rows)

    for query in USUAL_QUERIES:
        assert await ask(query), query
    book = Book()
    [(book.rows,)] = await ask(f"SELECT count() FROM event_log WHERE {before}")
    [(book.events, book.turns)] = await ask(
        f"SELECT count(), uniqExact(actor, seq) FROM events WHERE {before}"
    )
    book.checksums = dict(
        await ask(
            "SELECT actor, sum(toInt128(seq * 4096 + index) * toInt128(seq * 4096 + index)) "
            f"FROM events WHERE {before} GROUP BY actor"
        )
    )
    book.contents = {
        f"{actor} {seq} {index}": msgspec.json.decode(data)
        for actor, seq, index, data in await ask(
            f"SELECT actor, seq, index, data FROM events WHERE {before} AND seq % {SAMPLED} = 0"
        )
    }
    await clickhouse.close()
    return book


async def _lose(directory: Path) -> int:
    clickhouse = ClickHouse(directory, timeout_s=200)
    [(lost,)] = await clickhouse.call(
        lambda client: client.query("SELECT count() FROM event_log WHERE seq % 10 = 3").result_rows
    )
    await clickhouse.call(lambda client: client.command("DELETE FROM event_log WHERE seq % 10 = 3"))
    await clickhouse.close()
    return int(lost)


if __name__ == "__main__":
    what, directory, until_ms = sys.argv[1:]
    if what == "read":
        print(msgspec.json.encode(asyncio.run(_read(Path(directory), int(until_ms)))).decode())
    else:
        print(asyncio.run(_lose(Path(directory))))
