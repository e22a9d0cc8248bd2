"""Every committed turn reaches analytics, whole and once, through a real Kafka, whatever dies on the way.

``CASINO_EVENT_SECONDS=120 CASINO_EVENT_PLAYERS=200 CASINO_EVENT_OUTAGE_SECONDS=300 CASINO_BOTS_THINK=0`` for
a longer look.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import asyncpg
import jsonschema
import msgspec
import psutil
import pytest
from aiokafka import AIOKafkaConsumer

from actors.catalogue import SECRET_EVENTS
from clients import CasinoClient
from persistence.kafka.topics import EVENTS
from tests.kafka.broker import KafkaBroker
from tests.kafka.fixtures import need_kafka
from tests.system.arena import Arena, BotRun, running
from tests.system.event_books import Book, clickhouse_book, journal_book, lose_rows
from tests.system.event_watch import EventWatch

pytestmark = [pytest.mark.system, pytest.mark.timeout(1800)]

SECONDS = float(os.environ.get("CASINO_EVENT_SECONDS", "6"))
PLAYERS = int(os.environ.get("CASINO_EVENT_PLAYERS", "40"))
OUTAGE_SECONDS = float(os.environ.get("CASINO_EVENT_OUTAGE_SECONDS", "6"))
KILL_EVERY_S = float(os.environ.get("CASINO_EVENT_KILL_SECONDS", "4"))
MEMORY_MAX = 600 * 2**20
"""Of a relay, whatever waits in the journal."""

SCHEMA = Path(__file__).parents[2] / "docs/events.schema.json"


@pytest.fixture
def kafka(tmp_path: Path) -> Iterator[KafkaBroker]:
    """One for each casino: events of two would mix."""
    need_kafka()
    broker = KafkaBroker(tmp_path / "kafka")
    broker.start()
    yield broker
    broker.stop()


@contextmanager
def casino(data: Path, kafka: KafkaBroker | None = None) -> Iterator[Arena]:
    environment = {"CASINO_KAFKA": kafka.bootstrap} if kafka else {}
    with running(data, **environment) as arena:
        yield arena


def watch(arena: Arena) -> EventWatch:
    movers = ["event-relay"]
    if arena.actors("EventSink"):
        movers.append("event-sink")
    return EventWatch(arena.instance.state().redis_url, *movers)


async def both_books(arena: Arena, looking: EventWatch) -> tuple[Book, Book, float]:
    """The journal's and ClickHouse's, of everything until now, and how long the last events took. The
    casino is down afterwards."""
    until_ms = int(time.time() * 1000)
    await asyncio.sleep(1.0)
    took_s = await looking.arrived(until_ms, patience_s=300)
    journal = await journal_book(arena.dsn, until_ms, SECRET_EVENTS)
    await asyncio.to_thread(arena.stop)
    return journal, clickhouse_book(arena.data / "clickhouse", until_ms), took_s


def assert_same(journal: Book, stored: Book) -> None:
    missing = {actor for actor, sum_ in journal.checksums.items() if stored.checksums.get(actor) != sum_}
    assert not missing, f"{len(missing)} actors differ, such as {sorted(missing)[:3]}"
    assert stored.events == journal.events
    assert stored.checksums == journal.checksums
    assert journal.contents
    assert stored.contents == journal.contents


def assert_played(run: BotRun) -> None:
    assert run.status == 0, (run.report, run.said)
    assert run.report["event_gaps"] == 0


def told(title: str, journal: Book, stored: Book, looking: EventWatch, catch_up_s: float) -> None:
    print(
        f"\n{title}: {journal.turns:,} turns, {journal.events:,} events committed; {stored.events:,} in "
        f"ClickHouse ({stored.rows - stored.events:,} rows came twice and count once); lag p50 "
        f"{looking.lag_s(0.5):.2f} s, p99 {looking.lag_s(0.99):.2f} s; caught up {catch_up_s:.1f} s after "
        f"the last; at best {looking.events_per_s():,.0f} events/s for 4 s"
    )


@pytest.fixture(scope="module")
def without_kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Arena]:
    """A casino that is down, to be started by the tests."""
    arena = Arena(tmp_path_factory.mktemp("without-kafka") / "casino")
    yield arena
    arena.stop()
    arena.kill_everything()


async def test_without_kafka_the_relay_fills_clickhouse(without_kafka: Arena) -> None:
    arena = without_kafka
    arena.up()
    async with watch(arena) as looking:
        async with arena.bots(PLAYERS, SECONDS) as playing:
            await asyncio.sleep(SECONDS / 3)
            arena.kill("EventRelay")
            assert_played(await playing)
        journal, stored, catch_up_s = await both_books(arena, looking)
    told("without Kafka, relay killed", journal, stored, looking, catch_up_s)
    assert_same(journal, stored)


async def test_rows_in_clickhouse_equal_committed_events(data: Path, kafka: KafkaBroker) -> None:
    with casino(data, kafka) as arena:
        async with watch(arena) as looking:
            async with arena.bots(PLAYERS, SECONDS) as playing:
                command_id = await spin_once(arena.url)
                assert_played(await playing)
            journal, stored, catch_up_s = await both_books(arena, looking)
    told("played", journal, stored, looking, catch_up_s)
    assert_same(journal, stored)
    envelopes = await records(kafka.bootstrap)
    assert len({(each["actor"], each["seq"]) for each in envelopes}) >= journal.turns
    # The id that the client chose is the same on the bus.
    assert command_id in {each["command_id"] for each in envelopes}
    validator = jsonschema.Draft202012Validator(msgspec.json.decode(SCHEMA.read_bytes()))
    for envelope in random.sample(envelopes, 300):
        validator.validate(envelope)


async def test_nothing_is_missing_whatever_dies_in_between(data: Path, kafka: KafkaBroker) -> None:
    kills: list[tuple[str, Callable[[Arena], None]]] = [
        ("relay", lambda arena: arena.kill("EventRelay")),
        ("sink", lambda arena: arena.kill("EventSink")),
        ("Kafka", lambda _: restart(kafka)),
    ]
    with casino(data, kafka) as arena:
        async with watch(arena) as looking:
            duration_s = SECONDS + KILL_EVERY_S * len(kills)
            async with held_commits(arena.dsn), arena.bots(PLAYERS, duration_s) as playing:
                await asyncio.sleep(KILL_EVERY_S)
                number = 0
                while not playing.done() and (number < len(kills) or SECONDS > 60):
                    name, kill = kills[number % len(kills)]
                    print(f"killing the {name}")
                    await asyncio.to_thread(kill, arena)
                    await asyncio.wait([playing], timeout=KILL_EVERY_S)
                    number += 1
                assert_played(await playing)
            journal, stored, catch_up_s = await both_books(arena, looking)
    told(f"{number} killed", journal, stored, looking, catch_up_s)
    assert_same(journal, stored)
    assert looking.held_up_s > 0.2, "no transaction was seen to hold others up"


async def test_play_goes_on_while_kafka_is_away(data: Path, kafka: KafkaBroker) -> None:
    with casino(data, kafka) as arena:
        async with watch(arena) as looking:
            async with arena.bots(PLAYERS, OUTAGE_SECONDS + 4) as playing:
                await asyncio.sleep(2)
                await asyncio.to_thread(kafka.kill)
                run = await playing
            memory = max_memory(arena, "EventRelay")
            await asyncio.to_thread(kafka.start)
            journal, stored, catch_up_s = await both_books(arena, looking)
    told(f"Kafka away for {OUTAGE_SECONDS:.0f} s", journal, stored, looking, catch_up_s)
    print(f"the relay had {memory / 2**20:.0f} MiB; players: {run.report['latency']}")
    assert_played(run)
    assert run.report["reconnects"] == 0
    assert memory < MEMORY_MAX
    assert_same(journal, stored)


async def test_what_clickhouse_has_lost_is_found_and_repaired(without_kafka: Arena) -> None:
    """After the others, because what is younger than a minute is not looked at."""
    arena = without_kafka
    if not (arena.data / "clickhouse").exists():
        arena.up()
        async with watch(arena) as looking, arena.bots(PLAYERS, SECONDS) as playing:
            assert_played(await playing)
            await both_books(arena, looking)
    lost_rows = lose_rows(arena.data / "clickhouse")
    # The last thing that its log says is that it has stopped.
    await asyncio.sleep(max(0.0, arena.log.stat().st_mtime + 61 - time.time()))
    arena.up()
    async with watch(arena) as looking:
        await looking.arrived(int(time.time() * 1000))
    checked = arena.run("reconcile", "--check", "--json", check=False)
    assert checked.returncode == 1, checked.stdout + checked.stderr
    lost = msgspec.json.decode(checked.stdout)
    assert lost["missing"] == lost_rows > 0
    assert lost["repaired"] == 0
    repaired = msgspec.json.decode(arena.run("reconcile", "--json").stdout)
    print(f"reconciled: {repaired}")
    assert repaired["repaired"] == repaired["missing"] == lost["missing"]
    again = msgspec.json.decode(arena.run("reconcile", "--check", "--json").stdout)
    assert (again["missing"], again["unexpected"]) == (0, 0)


async def spin_once(url: str) -> str:
    """A spin under an id of our own."""
    command_id = f"event-{time.time_ns()}"
    async with CasinoClient.connect(url, guest=True) as player:
        await player.command("claim_streak", {}, id=command_id)
    return command_id


def restart(kafka: KafkaBroker) -> None:
    kafka.kill()
    kafka.start()


@contextlib.asynccontextmanager
async def held_commits(dsn: str) -> Any:
    """Now and then somebody holds a row that a commit needs, so that this one waits with its place in the
    journal taken while later ones pass it."""

    async def hold() -> None:
        dice = random.Random(7)
        connection = await asyncpg.connect(dsn)
        try:
            while True:
                async with connection.transaction():
                    await connection.execute(
                        "SELECT * FROM balances TABLESAMPLE SYSTEM (50) WHERE account LIKE 'player:%' "
                        "LIMIT 1 FOR UPDATE"
                    )
                    await asyncio.sleep(dice.uniform(0.3, 1.0))
                await asyncio.sleep(dice.uniform(0.1, 0.5))
        finally:
            await connection.close()

    task = asyncio.create_task(hold())
    try:
        yield
        assert not task.done(), task.exception()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def records(bootstrap: str) -> list[dict[str, Any]]:
    """Everything on the bus."""
    consumer = AIOKafkaConsumer(EVENTS.name, bootstrap_servers=bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    try:
        ends = await consumer.end_offsets(sorted(consumer.assignment()))
        found: list[dict[str, Any]] = []
        while any([await consumer.position(each) < end for each, end in ends.items()]):
            for share in (await consumer.getmany(timeout_ms=1000)).values():
                found += [msgspec.json.decode(record.value) for record in share]
        return found
    finally:
        await consumer.stop()


def max_memory(arena: Arena, name: str) -> int:
    def size(process: psutil.Process) -> int:
        try:
            return int(process.memory_info().rss)
        except psutil.NoSuchProcess:
            return 0

    sizes = [size(process) for process in arena.actors(name)]
    assert sizes, f"there is no {name}"
    return max(sizes)
