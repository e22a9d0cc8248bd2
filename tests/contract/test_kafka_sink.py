"""What the sink promises, on a real Kafka: nothing missing, whoever dies, and no poison stops it."""

from __future__ import annotations

import asyncio
import contextlib
import gc
from collections.abc import AsyncIterator

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete

from persistence.kafka.publisher import KafkaPublisher
from persistence.kafka.sink import EventSink, SinkSettings
from runtime.clock import SystemClock
from runtime.envelope import encode_envelope
from runtime.relay import PublishFailed
from tests.contract.kafka_bus import WAIT_S, Bus, RecordingStore, actor, first_sight, keys, turn, turns, until
from tests.kafka.broker import KafkaBroker


@pytest.fixture
async def bus(kafka_bootstrap: str) -> Bus:
    return await Bus(kafka_bootstrap).create()


@pytest.fixture
async def publisher(bus: Bus) -> AsyncIterator[KafkaPublisher]:
    publisher = KafkaPublisher(bus.bootstrap, events=bus.events, dead_letters=bus.dead_letters)
    yield publisher
    await publisher.close()


class RunningSink:
    def __init__(self, bus: Bus, store: RecordingStore, *, turns_per_batch_max: int = 50) -> None:
        settings = SinkSettings(
            group=bus.group,
            turns_per_batch_max=turns_per_batch_max,
            retry_max_s=0.2,
            session_timeout_s=2.0,
            request_timeout_s=3.0,
            measure_every_s=0.1,
            revocation_patience_s=1.0,
            stalled_after_s=1.0,
        )
        self.sink = EventSink(
            bus.bootstrap,
            store,
            SystemClock(),
            events=bus.events,
            dead_letters=bus.dead_letters,
            settings=settings,
        )
        self.statistics = self.sink.statistics

    async def __aenter__(self) -> RunningSink:
        self._running = asyncio.create_task(self.sink.run())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            async with asyncio.timeout(WAIT_S):
                await self._running


async def test_turns_reach_the_store_once_in_order_and_counted(bus: Bus, publisher: KafkaPublisher) -> None:
    store = RecordingStore()
    sent = turns(actors=20, each=20)
    await publisher.publish(sent)

    async with RunningSink(bus, store) as running:
        await until(lambda: len(store.published) >= len(sent))
        statistics = running.statistics
        await until(lambda: statistics.records_behind == dict.fromkeys(range(bus.events.partitions), 0))

    assert len(store.published) == len(sent)
    assert first_sight(store.published) == first_sight(sent)
    assert store.largest <= 50
    assert (statistics.turns, statistics.events) == (len(sent), 2 * len(sent))
    assert (statistics.failures, statistics.dead_letters) == (0, 0)


async def test_a_restarted_sink_goes_on_behind_what_it_committed(bus: Bus, publisher: KafkaPublisher) -> None:
    first, second = RecordingStore(), RecordingStore()
    await publisher.publish(turns(actors=5, each=10))
    async with RunningSink(bus, first) as running:
        await until(lambda: running.statistics.turns == 50)
        await _until_committed(bus, 50)
    more = turns(actors=5, each=10, first=11)
    await publisher.publish(more)
    async with RunningSink(bus, second) as running:
        await until(lambda: running.statistics.turns >= 50)

    assert first_sight(second.published) == first_sight(more)


async def test_poison_goes_to_the_dead_letters_and_the_stream_goes_on(bus: Bus) -> None:
    store = RecordingStore()
    good = [turn(actor(1), seq) for seq in range(1, 11)]
    store.refused = {(actor(1), 4)}
    producer = AIOKafkaProducer(bootstrap_servers=bus.bootstrap)
    await producer.start()
    values = [encode_envelope(each) for each in good]
    values[2:2] = [b"\xff not JSON", b'{"version": 99}', b""]
    for value in values:
        await producer.send_and_wait(bus.events.name, value, key=b"poison", partition=1)
    await producer.stop()

    async with RunningSink(bus, store) as running:
        await until(lambda: running.statistics.turns == 9)
        assert running.statistics.dead_letters == 4

    assert keys(store.published) == [(actor(1), seq) for seq in range(1, 11) if seq != 4]
    letters = await bus.records(bus.dead_letters)
    assert [letter.value for letter in letters] == [b"\xff not JSON", b'{"version": 99}', b"", values[6]]
    headers = [{name: value.decode() for name, value in letter.headers} for letter in letters]
    assert [each["source_offset"] for each in headers] == ["2", "3", "4", "6"]
    assert {(each["source_topic"], each["source_partition"]) for each in headers} == {(bus.events.name, "1")}
    assert "not an envelope" in headers[0]["reason"]
    assert headers[3]["reason"] == "refused by the store: not in this house"
    assert {letter.key for letter in letters} == {b"poison"}


async def test_what_was_inserted_and_not_committed_comes_again(bus: Bus, publisher: KafkaPublisher) -> None:
    store = RecordingStore()
    store.may_return.clear()
    sent = turns(actors=5, each=8)
    await publisher.publish(sent)

    async with RunningSink(bus, store):
        await until(lambda: len(store.published) > 0)
    inserted = list(store.published)
    store.may_return.set()
    async with RunningSink(bus, store) as running:
        await until(lambda: running.statistics.turns >= len(sent))

    assert set(keys(store.published)) == set(keys(sent))
    seen = keys(store.published)
    assert all(seen.count(key) == 2 for key in keys(inserted))
    assert len(seen) == len(sent) + len(inserted)


async def test_partitions_pass_to_a_second_sink_and_back(bus: Bus, publisher: KafkaPublisher) -> None:
    first, second = RecordingStore(), RecordingStore()
    rounds = iter(range(1, 1000))

    async def play(stores: list[RecordingStore]) -> None:
        """Until each of them got something of what was sent from now on."""
        marks = [len(store.published) for store in stores]
        while any(len(store.published) <= mark for store, mark in zip(stores, marks, strict=True)):
            await publisher.publish(turns(actors=20, each=1, first=next(rounds)))
            await asyncio.sleep(0.02)

    async with asyncio.timeout(WAIT_S), RunningSink(bus, second) as other:
        async with RunningSink(bus, first) as running:
            await play([first, second])
            assert set(running.statistics.records_behind) != set(range(bus.events.partitions))
        sent = next(rounds)
        await publisher.publish(turns(actors=20, each=1, first=sent))
        wanted = set(keys(turns(actors=20, each=sent)))
        await until(lambda: set(keys(first.published + second.published)) == wanted)
        await until(lambda: set(other.statistics.records_behind) == set(range(bus.events.partitions)))


async def test_a_batch_in_hand_is_dropped_when_its_partitions_are_taken(
    bus: Bus, publisher: KafkaPublisher
) -> None:
    stuck, healthy = RecordingStore(), RecordingStore()
    stuck.is_down = True
    sent = turns(actors=20, each=5)
    await publisher.publish(sent)

    async with RunningSink(bus, stuck) as held_up:
        await until(lambda: stuck.attempts > 1)
        async with RunningSink(bus, healthy):
            await until(lambda: len(healthy.published) > 0)
            stuck.is_down = False
            both = lambda: set(keys(stuck.published + healthy.published))  # noqa: E731
            await until(lambda: both() == set(keys(sent)))
        assert held_up.statistics.failures > 0
    # Nothing was committed by the one that was held up, and nothing is in the hands of both.
    assert len(stuck.published) + len(healthy.published) == len(sent)


async def test_while_the_store_is_down_it_waits_and_knows_how_far_behind_it_is(
    bus: Bus, publisher: KafkaPublisher
) -> None:
    store = RecordingStore()
    store.is_down = True
    sent = turns(actors=20, each=10)
    await publisher.publish(sent)

    async with RunningSink(bus, store) as running:
        statistics = running.statistics
        await until(lambda: statistics.records_behind_total == len(sent) and statistics.failures > 3)
        await publisher.publish(turns(actors=20, each=10, first=11))
        await until(lambda: statistics.records_behind_total == 2 * len(sent))
        assert statistics.inserted_until_ms is None
        assert (statistics.turns, store.largest <= 50) == (0, True)

        store.is_down = False
        await until(lambda: statistics.records_behind_total == 0)

    assert len(store.published) == 2 * len(sent)


async def test_a_consumer_whose_fetching_died_is_replaced(bus: Bus, publisher: KafkaPublisher) -> None:
    store = RecordingStore()
    await publisher.publish(turns(actors=10, each=10))

    async with RunningSink(bus, store) as running:
        await until(lambda: len(store.published) == 100)
        [consumer] = [
            each for each in gc.get_objects() if isinstance(each, AIOKafkaConsumer) and not each._closed
        ]
        fetching = [consumer._fetcher._fetch_task, *consumer._fetcher._pending_tasks]
        fetching[0].cancel()
        await asyncio.wait(fetching)
        await publisher.publish(turns(actors=10, each=10, first=11))
        await until(lambda: set(keys(store.published)) == set(keys(turns(actors=10, each=20))))
        assert running.statistics.failures > 0


async def test_a_consumer_whose_commits_nobody_answers_is_replaced(
    bus: Bus, publisher: KafkaPublisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = AIOKafkaConsumer.commit
    unanswered: set[AIOKafkaConsumer] = set()

    async def lost(consumer: AIOKafkaConsumer, offsets: dict[TopicPartition, int]) -> None:
        """As aiokafka does when it waits for a coordinator that it will not look for."""
        if not unanswered or consumer in unanswered:
            unanswered.add(consumer)
            await asyncio.Event().wait()
        await commit(consumer, offsets)

    monkeypatch.setattr(AIOKafkaConsumer, "commit", lost)
    store, sent = RecordingStore(), turns(actors=10, each=10)
    await publisher.publish(sent)
    async with RunningSink(bus, store) as running:
        # The second consumer has the first batch again, because the first left no mark.
        await until(lambda: len(store.published) > len(sent))
        await _until_committed(bus, len(sent))
    assert len(unanswered) == 1
    again = RecordingStore()
    async with RunningSink(bus, again) as running:
        await until(
            lambda: running.statistics.records_behind == dict.fromkeys(range(bus.events.partitions), 0)
        )
    assert again.published == []


async def test_records_that_were_deleted_unread_are_counted(bus: Bus, publisher: KafkaPublisher) -> None:
    first, second = RecordingStore(), RecordingStore()
    await publisher.publish(turns(actors=1, each=10))
    async with RunningSink(bus, first) as running:
        await until(lambda: running.statistics.turns == 10)
        await _until_committed(bus, 10)
    await publisher.publish(turns(actors=1, each=10, first=11))
    admin = AIOKafkaAdminClient(bootstrap_servers=bus.bootstrap)
    await admin.start()
    try:
        # As the retention does, while the sink is away: all but the last three of the turns.
        parts = [TopicPartition(bus.events.name, number) for number in range(bus.events.partitions)]
        ends = await _ends(bus, parts)
        (used,) = [each for each in parts if ends[each]]
        await admin.delete_records({used: RecordsToDelete(before_offset=ends[used] - 3)})
    finally:
        await admin.close()
    async with RunningSink(bus, second) as running:
        await until(lambda: running.statistics.turns == 3)
        assert running.statistics.skipped == 7


async def _ends(bus: Bus, parts: list[TopicPartition]) -> dict[TopicPartition, int]:
    consumer = AIOKafkaConsumer(bootstrap_servers=bus.bootstrap)
    await consumer.start()
    try:
        ends: dict[TopicPartition, int] = await consumer.end_offsets(parts)
        return ends
    finally:
        await consumer.stop()


async def test_nothing_is_missing_after_kafka_was_killed(kafka_broker: KafkaBroker) -> None:
    bus = await Bus(kafka_broker.bootstrap).create()
    publisher = KafkaPublisher(
        bus.bootstrap, events=bus.events, dead_letters=bus.dead_letters, deadline_s=2.0
    )
    store = RecordingStore()
    await publisher.publish(turns(actors=10, each=10))

    async with RunningSink(bus, store) as running:
        await until(lambda: len(store.published) == 100)
        await asyncio.to_thread(kafka_broker.kill)
        await asyncio.sleep(0.5)
        await asyncio.to_thread(kafka_broker.start)
        async with asyncio.timeout(WAIT_S):
            while True:
                try:
                    await publisher.publish(turns(actors=10, each=10, first=11))
                    break
                except PublishFailed:
                    await asyncio.sleep(0.1)
        wanted = turns(actors=10, each=20)
        await until(lambda: set(keys(store.published)) == set(keys(wanted)))
        await until(lambda: running.statistics.records_behind_total == 0)
    await publisher.close()
    assert first_sight(store.published) == first_sight(wanted)


async def test_a_sink_started_before_kafka_begins_when_kafka_does(kafka_broker: KafkaBroker) -> None:
    bus = await Bus(kafka_broker.bootstrap).create()
    publisher = KafkaPublisher(bus.bootstrap, events=bus.events, dead_letters=bus.dead_letters)
    sent = turns(actors=10, each=10)
    await publisher.publish(sent)
    await publisher.close()
    store = RecordingStore()
    tasks = len(asyncio.all_tasks())

    await asyncio.to_thread(kafka_broker.kill)
    try:
        async with RunningSink(bus, store) as running:
            await until(lambda: running.statistics.failures > 2)
            await asyncio.to_thread(kafka_broker.start)
            await until(lambda: set(keys(store.published)) == set(keys(sent)))
            await asyncio.to_thread(kafka_broker.kill)
            await asyncio.sleep(0.5)
        # Cancelled with Kafka away: it ends all the same, and leaves nothing running.
        assert len(asyncio.all_tasks()) <= tasks
    finally:
        await asyncio.to_thread(kafka_broker.restart)


async def _until_committed(bus: Bus, records: int) -> None:
    """What is inserted is committed a moment later, and a sink that ends in between has it again."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bus.bootstrap)
    await admin.start()
    try:
        async with asyncio.timeout(WAIT_S):
            while True:
                offsets = await admin.list_consumer_group_offsets(bus.group)
                if sum(each.offset for each in offsets.values()) == records:
                    return
                await asyncio.sleep(0.05)
    finally:
        await admin.close()
