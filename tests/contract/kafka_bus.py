"""Topics of a test's own, turns to send over them, and a store that remembers what it was given."""

from __future__ import annotations

import asyncio
import uuid
from collections import defaultdict
from collections.abc import Callable, Sequence

import msgspec
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from persistence.kafka.topics import Topic, ensure_topics
from runtime.envelope import TurnEvents
from runtime.identity import ActorId
from runtime.relay import PublishFailed, PublishRefused

WAIT_S = 60.0
"""For what must happen at all; how fast is not a test's business."""


class Bus:
    def __init__(self, bootstrap: str, *, partitions: int = 3, message_bytes_max: int = 2**20) -> None:
        name = f"test-{uuid.uuid4().hex}"
        self.bootstrap = bootstrap
        self.events = Topic(name, partitions, 1, message_bytes_max)
        self.dead_letters = Topic(f"{name}.dead-letters", 1, 1, 2 * message_bytes_max)
        self.group = name

    async def create(self) -> Bus:
        await ensure_topics(self.bootstrap, [self.events, self.dead_letters])
        return self

    async def records(self, topic: Topic) -> list[ConsumerRecord]:
        """All there are, in order for each partition."""
        consumer = AIOKafkaConsumer(bootstrap_servers=self.bootstrap)
        await consumer.start()
        try:
            partitions = [TopicPartition(topic.name, number) for number in range(topic.partitions)]
            consumer.assign(partitions)
            await consumer.seek_to_beginning()
            ends = await consumer.end_offsets(partitions)
            found: list[ConsumerRecord] = []
            while any([await consumer.position(each) < ends[each] for each in partitions]):
                for records in (await consumer.getmany(timeout_ms=200)).values():
                    found += records
            return found
        finally:
            await consumer.stop()


def actor(number: int) -> ActorId:
    return ActorId(f"session/u_{number}")


def turn(actor: ActorId, seq: int, *, event_bytes: int = 10) -> TurnEvents:
    events = [{"type": "slots_spun", "filling": "x" * event_bytes}, {"type": "stats_updated"}]
    raw = [msgspec.Raw(msgspec.json.encode(event)) for event in events]
    return TurnEvents(actor, seq, f"{actor}-{seq}", 1_767_225_600_000 + seq, raw)


def turns(actors: int, each: int, first: int = 1) -> list[TurnEvents]:
    """Of actors taking turns."""
    return [turn(actor(number), seq) for seq in range(first, first + each) for number in range(actors)]


def keys(published: Sequence[TurnEvents]) -> list[tuple[ActorId, int]]:
    return [(turn.actor, turn.seq) for turn in published]


def first_sight(published: Sequence[TurnEvents]) -> dict[ActorId, list[int]]:
    """By actor, the turns in the order in which each was seen first."""
    seen: dict[ActorId, dict[int, None]] = defaultdict(dict)
    for each in published:
        seen[each.actor].setdefault(each.seq)
    return {actor: list(seqs) for actor, seqs in seen.items()}


class RecordingStore:
    """An EventPublisher."""

    def __init__(self) -> None:
        self.published: list[TurnEvents] = []
        self.largest = 0
        self.attempts = 0
        self.is_down = False
        self.refused: set[tuple[ActorId, int]] = set()
        self.may_return = asyncio.Event()
        """Cleared, what is published is there, but nobody learns it."""
        self.may_return.set()

    async def publish(self, turns: Sequence[TurnEvents]) -> None:
        self.attempts += 1
        self.largest = max(self.largest, len(turns))
        if self.is_down:
            raise PublishFailed("the store is down")
        for each in turns:
            if (each.actor, each.seq) in self.refused:
                raise PublishRefused(each.actor, each.seq, "not in this house")
        self.published += turns
        await self.may_return.wait()

    async def close(self) -> None: ...


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(WAIT_S):
        while not condition():
            await asyncio.sleep(0.02)
