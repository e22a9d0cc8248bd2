"""What the bus promises, on a real Kafka that is killed, stopped and asked for too much."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import AsyncIterator, Sequence

import msgspec
import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.partitioner import DefaultPartitioner

from persistence.kafka.publisher import KafkaPublisher
from persistence.kafka.topics import Topic
from runtime.envelope import TurnEvents, decode_envelope
from runtime.relay import PublishFailed, PublishRefused
from tests.contract.kafka_bus import WAIT_S, Bus, actor, first_sight, keys, turn, turns
from tests.kafka.broker import KafkaBroker

DEADLINE_S = 2.0


@pytest.fixture
async def bus(kafka_bootstrap: str) -> Bus:
    return await Bus(kafka_bootstrap).create()


@pytest.fixture
async def publisher(bus: Bus) -> AsyncIterator[KafkaPublisher]:
    publisher = _publisher(bus, bus.events)
    yield publisher
    await publisher.close()


def _publisher(bus: Bus, events: Topic) -> KafkaPublisher:
    return KafkaPublisher(bus.bootstrap, events=events, dead_letters=bus.dead_letters, deadline_s=DEADLINE_S)


async def _publish_at_last(publisher: KafkaPublisher, turns: Sequence[TurnEvents]) -> int:
    """As the relay does. Returns how often it failed."""
    failures = 0
    async with asyncio.timeout(WAIT_S):
        while True:
            try:
                await publisher.publish(turns)
                return failures
            except PublishFailed:
                failures += 1
                await asyncio.sleep(0.05)


async def test_turns_arrive_whole_in_order_in_the_partition_of_their_actor(
    bus: Bus, publisher: KafkaPublisher
) -> None:
    sent = turns(actors=20, each=50)
    await publisher.publish(sent[:400])
    await publisher.publish(sent[400:])
    await publisher.publish([])

    records = await bus.records(bus.events)

    arrived = [decode_envelope(record.value) for record in records]
    assert first_sight(arrived) == first_sight(sent)
    assert sorted(arrived, key=lambda each: (each.actor, each.seq)) == sorted(
        sent, key=lambda each: (each.actor, each.seq)
    )
    everywhere = list(range(bus.events.partitions))
    place = DefaultPartitioner()
    assert all(record.partition == place(record.key, everywhere, everywhere) for record in records)
    assert {record.partition for record in records} == set(everywhere)
    assert {record.headers for record in records} == {(("version", b"1"),)}


async def test_more_than_a_batch_for_one_actor_stays_in_order(bus: Bus, publisher: KafkaPublisher) -> None:
    sent = [turn(actor(1), seq, event_bytes=100_000) for seq in range(1, 21)]
    await publisher.publish(sent)
    assert keys([decode_envelope(record.value) for record in await bus.records(bus.events)]) == keys(sent)


async def test_nothing_is_missing_after_kafka_was_killed(kafka_broker: KafkaBroker) -> None:
    bus = await Bus(kafka_broker.bootstrap).create()
    publisher = _publisher(bus, bus.events)
    published: list[TurnEvents] = []
    failures = 0
    killed = asyncio.Event()

    async def play() -> None:
        nonlocal failures
        for page in range(1, 1000):
            some = turns(actors=20, each=10, first=10 * page)
            failures += await _publish_at_last(publisher, some)
            published.extend(some)
            if killed.is_set():
                return

    playing = asyncio.create_task(play())
    for _ in range(2):
        await asyncio.sleep(0.3)
        await asyncio.to_thread(kafka_broker.kill)
        await asyncio.to_thread(kafka_broker.start)
    killed.set()
    await playing
    await publisher.close()

    arrived = [decode_envelope(record.value) for record in await bus.records(bus.events)]
    assert failures > 0
    assert first_sight(arrived) == first_sight(published)


async def test_a_producer_that_lost_count_is_replaced(bus: Bus, publisher: KafkaPublisher) -> None:
    sent = turns(actors=10, each=3)
    await publisher.publish(sent[:10])
    numbers = publisher._producer._producer._txn_manager._sequence_numbers  # type: ignore[union-attr]
    for partition in numbers:
        numbers[partition] += 7

    with pytest.raises(PublishFailed, match="OutOfOrderSequence"):
        await publisher.publish(sent[10:20])
    await publisher.publish(sent[10:])

    arrived = [decode_envelope(record.value) for record in await bus.records(bus.events)]
    assert first_sight(arrived) == first_sight(sent)


@pytest.mark.parametrize("how", ["stopped", "killed"])
async def test_while_kafka_is_away_every_attempt_fails_and_nothing_piles_up(
    kafka_broker: KafkaBroker, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    bus = await Bus(kafka_broker.bootstrap).create()
    publisher = _publisher(bus, bus.events)
    sent = turns(actors=10, each=10)
    await publisher.publish(sent[:50])
    tasks = len(asyncio.all_tasks())
    producers = _producers()

    caplog.set_level(logging.ERROR, "asyncio")
    await asyncio.to_thread(kafka_broker.pause if how == "stopped" else kafka_broker.kill)
    try:
        for _ in range(4):
            async with asyncio.timeout(WAIT_S):
                with pytest.raises(PublishFailed):
                    await publisher.publish(sent[50:])
        async with asyncio.timeout(WAIT_S):
            await publisher.close()
        assert len(asyncio.all_tasks()) < tasks  # The producer has some of its own.
        assert _producers() < producers
    finally:
        await asyncio.to_thread(kafka_broker.resume if how == "stopped" else kafka_broker.start)

    await _publish_at_last(publisher, sent[50:])
    await publisher.close()
    arrived = [decode_envelope(record.value) for record in await bus.records(bus.events)]
    assert first_sight(arrived) == first_sight(sent)
    gc.collect()
    assert [record.message for record in caplog.records if record.name == "asyncio"] == []


def _producers() -> int:
    gc.collect()
    return sum(isinstance(each, AIOKafkaProducer) for each in gc.get_objects())


async def test_a_turn_that_is_too_large_goes_to_the_dead_letters_and_the_others_go_on(
    bus: Bus, publisher: KafkaPublisher
) -> None:
    giant = turn(actor(1), 2, event_bytes=bus.events.message_bytes_max)
    page = [turn(actor(1), 1), giant, turn(actor(1), 3)]

    with pytest.raises(PublishRefused, match="too large") as refused:
        await publisher.publish(page)
    assert (refused.value.actor, refused.value.seq) == (giant.actor, 2)
    await publisher.publish([page[0], page[2]])

    arrived = [decode_envelope(record.value) for record in await bus.records(bus.events)]
    assert keys(arrived) == [(giant.actor, 1), (giant.actor, 3)]
    [letter] = await bus.records(bus.dead_letters)
    assert letter.key == giant.actor.encode()
    assert "too large" in dict(letter.headers)["reason"].decode()
    told = msgspec.json.decode(letter.value)
    assert (told["actor"], told["seq"], told["command_id"]) == (giant.actor, 2, giant.command_id)
    assert told["size_bytes"] > bus.events.message_bytes_max


async def test_a_limit_that_was_lowered_in_kafka_is_learned(bus: Bus) -> None:
    believed = msgspec.structs.replace(bus.events, message_bytes_max=2**22)
    publisher = _publisher(bus, believed)
    giant = turn(actor(1), 1, event_bytes=bus.events.message_bytes_max)

    with pytest.raises(PublishFailed):
        await publisher.publish([giant])
    with pytest.raises(PublishRefused):
        await publisher.publish([giant])
    await publisher.publish([turn(actor(1), 2)])
    await publisher.close()

    assert len(await bus.records(bus.dead_letters)) == 1
    assert len(await bus.records(bus.events)) == 1
