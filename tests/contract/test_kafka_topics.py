"""Topics are made as they are described, once, and never changed."""

from __future__ import annotations

import logging
import socket

import msgspec
import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from persistence.kafka.topics import KafkaUnavailable, ensure_topics, message_bytes_max
from tests.contract.kafka_bus import Bus


async def test_a_topic_is_made_with_its_partitions_retention_and_limit(kafka_bootstrap: str) -> None:
    bus = await Bus(kafka_bootstrap, partitions=5, message_bytes_max=123_456).create()

    admin = AIOKafkaAdminClient(bootstrap_servers=kafka_bootstrap)
    await admin.start()
    try:
        [topic] = await admin.describe_topics([bus.events.name])
        [answer] = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, bus.events.name)])
    finally:
        await admin.close()
    settings = {name: value for name, value, *_ in answer.resources[0][4]}

    assert len(topic["partitions"]) == 5
    assert settings["retention.ms"] == "3600000"
    assert settings["message.timestamp.type"] == "LogAppendTime"
    assert await message_bytes_max(kafka_bootstrap, bus.events.name) == 123_456


async def test_making_a_topic_again_changes_nothing(
    kafka_bootstrap: str, caplog: pytest.LogCaptureFixture
) -> None:
    bus = await Bus(kafka_bootstrap, partitions=2).create()

    with caplog.at_level(logging.WARNING, "persistence.kafka"):
        await bus.create()
        assert not caplog.records
        await ensure_topics(kafka_bootstrap, [msgspec.structs.replace(bus.events, partitions=4)])

    assert [record.message for record in caplog.records] == [
        "topic has fewer partitions than configured; left alone"
    ]
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka_bootstrap)
    await admin.start()
    try:
        [topic] = await admin.describe_topics([bus.events.name])
    finally:
        await admin.close()
    assert len(topic["partitions"]) == 2


async def test_a_topic_that_kafka_refuses_is_told_by_name(kafka_bootstrap: str) -> None:
    topic = msgspec.structs.replace(Bus(kafka_bootstrap).events, name="no such: name")
    with pytest.raises(KafkaUnavailable, match="no such: name cannot be created"):
        await ensure_topics(kafka_bootstrap, [topic])


async def test_without_kafka_the_error_says_what_to_do() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(KafkaUnavailable, match=f"{address}.*Start it, correct the address"):
            await ensure_topics(address, timeout_s=0.5)
    with pytest.raises(KafkaUnavailable, match="Start it"):
        await ensure_topics(address, timeout_s=0.5)
