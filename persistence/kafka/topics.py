"""The topics on the bus, and how they are made: explicitly, with what each of them promises.

Retention counts from when a record was appended, not from when its turn was recorded: turns that waited
for a week while Kafka was away are kept as long as any others.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import msgspec
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code

from runtime.errors import RuntimeFault

_log = logging.getLogger(__name__)

_ENVELOPE_BYTES_MAX = 4 * 2**20
_MESSAGE_BYTES_MAX = "max.message.bytes"


class KafkaUnavailable(RuntimeFault):
    """Kafka could not be reached, or does not do what is asked. The message says what to do."""


class Topic(msgspec.Struct, frozen=True):
    name: str
    partitions: int
    """Actors are spread over them; an actor's events stay in one, in order."""
    retention_h: int
    message_bytes_max: int
    """Of a record, or a batch of them, as it goes over the wire."""
    replicas_max: int = 3
    """Fewer where there are not as many brokers."""


EVENTS = Topic("casino.events", partitions=6, retention_h=7 * 24, message_bytes_max=_ENVELOPE_BYTES_MAX)
DEAD_LETTERS = Topic(
    "casino.events.dead-letters",
    partitions=1,
    retention_h=30 * 24,
    # The largest event with its headers.
    message_bytes_max=_ENVELOPE_BYTES_MAX + 2**16,
)


async def ensure_topics(
    bootstrap: str, topics: Sequence[Topic] = (EVENTS, DEAD_LETTERS), *, timeout_s: float = 15.0
) -> None:
    """Create those that are missing. Idempotent, and harmless beside another that does the same. What is
    there already is left as it is.

    Args:
        bootstrap: ``HOST:PORT[,HOST:PORT…]`` of some brokers.

    Raises:
        KafkaUnavailable: no broker answered in time, or it refused to create one of them.
    """
    async with _administration(bootstrap, timeout_s) as admin:
        there = set(await admin.list_topics())
        for topic in topics:
            if topic.name in there:
                [found] = await admin.describe_topics([topic.name])
                _compare(topic, len(found["partitions"]))
        missing = [topic for topic in topics if topic.name not in there]
        if missing:
            brokers = len((await admin.describe_cluster())["brokers"])
            answer = await admin.create_topics([_new_topic(topic, brokers) for topic in missing])
            for name, code, *message in answer.topic_errors:
                if code and for_code(code) is not TopicAlreadyExistsError:
                    raise KafkaUnavailable(
                        f"the topic {name} cannot be created: {for_code(code).__name__} "
                        f"{' '.join(filter(None, message))}. Create it by hand, or allow it to this client."
                    )
            for topic in missing:
                await _appears(admin, topic)


async def message_bytes_max(bootstrap: str, topic: str, *, timeout_s: float = 15.0) -> int:
    """What the brokers accept in this topic. Raises :class:`KafkaUnavailable`."""
    async with _administration(bootstrap, timeout_s) as admin:
        [answer] = await admin.describe_configs(
            [ConfigResource(ConfigResourceType.TOPIC, topic, {_MESSAGE_BYTES_MAX: None})]
        )
        for code, message, _kind, _name, entries in answer.resources:
            if code:
                raise KafkaUnavailable(f"the settings of {topic} cannot be read: {message}")
            for name, value, *_ in entries:
                if name == _MESSAGE_BYTES_MAX:
                    return int(value)
    raise KafkaUnavailable(f"the brokers do not say how large a record of {topic} may be")


@asynccontextmanager
async def _administration(bootstrap: str, timeout_s: float) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap, request_timeout_ms=int(timeout_s * 1000))
    try:
        async with asyncio.timeout(timeout_s):
            await admin.start()
            yield admin
    except (KafkaError, TimeoutError, OSError) as error:
        raise KafkaUnavailable(
            f"no Kafka answers at {bootstrap} ({str(error) or type(error).__name__}). "
            "Start it, correct the address, or run without Kafka."
        ) from error
    finally:
        await admin.close()


async def _appears(admin: AIOKafkaAdminClient, topic: Topic) -> None:
    """Brokers learn of a new topic a moment after it was made."""
    while True:
        [found] = await admin.describe_topics([topic.name])
        if found["partitions"]:
            return
        await asyncio.sleep(0.05)


def _new_topic(topic: Topic, brokers: int) -> NewTopic:
    replicas = min(topic.replicas_max, brokers)
    return NewTopic(
        topic.name,
        topic.partitions,
        replicas,
        topic_configs={
            "retention.ms": str(topic.retention_h * 3_600_000),
            # One replica may be away; with two of three a record that was acknowledged is safe.
            "min.insync.replicas": str(max(1, replicas - 1)),
            "message.timestamp.type": "LogAppendTime",
            _MESSAGE_BYTES_MAX: str(topic.message_bytes_max),
        },
    )


def _compare(topic: Topic, partitions: int) -> None:
    if partitions < topic.partitions:
        # More partitions would send an actor's next events past its earlier ones.
        _log.warning(
            "topic has fewer partitions than configured; left alone",
            extra={"topic": topic.name, "partitions": partitions, "configured": topic.partitions},
        )
