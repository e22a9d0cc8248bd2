"""Publishes turns to Kafka: one record per turn, the key its actor, the value its envelope, in JSON.

The key keeps an actor's events in one partition, in order. The header ``version`` is that of the envelope,
for readers that choose by it before they parse.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from aiokafka.errors import MessageSizeTooLargeError

from persistence.kafka.dead_letters import DeadLetters
from persistence.kafka.producer import BATCH_BYTES_MAX, DurableProducer, Record
from persistence.kafka.topics import DEAD_LETTERS, EVENTS, KafkaUnavailable, Topic, message_bytes_max
from runtime.envelope import TurnEvents, encode_envelope
from runtime.relay import PublishFailed, PublishRefused

_OVERHEAD_BYTES = 512
"""Of a batch with a single record, beside key and value."""


class KafkaPublisher:
    """An :class:`~runtime.relay.EventPublisher`. Holds nothing between calls."""

    def __init__(
        self,
        bootstrap: str,
        *,
        events: Topic = EVENTS,
        dead_letters: Topic = DEAD_LETTERS,
        deadline_s: float = 10.0,
    ) -> None:
        """Connects on first use. ``deadline_s`` is for each batch of a call, and for connecting."""
        self._bootstrap = bootstrap
        self._topic = events
        self._producer = DurableProducer(bootstrap, deadline_s=deadline_s)
        self._dead_letters = DeadLetters(self._producer, dead_letters)
        self._bytes_max = events.message_bytes_max

    async def publish(self, turns: Sequence[TurnEvents]) -> None:
        """As :class:`~runtime.relay.EventPublisher` says. A turn that is too large for the topic is refused,
        when a record without its events stands in the dead letters."""
        records = []
        for turn in turns:
            record = Record(turn.actor.encode(), encode_envelope(turn), _headers(turn.version))
            if len(record.value) + len(turn.actor) * 4 + _OVERHEAD_BYTES > self._bytes_max:
                await self._refuse(turn, len(record.value))
            records.append(record)
        if not records:
            return
        try:
            await self._producer.send(self._topic.name, records)
        except PublishFailed as error:
            if isinstance(error.__cause__, MessageSizeTooLargeError):
                await self._learn_limit()
            raise

    async def close(self) -> None:
        await self._producer.close()

    async def _refuse(self, turn: TurnEvents, size_bytes: int) -> None:
        reason = f"an envelope of {size_bytes} bytes is too large for {self._topic.name}"
        letter = msgspec.json.encode(
            {
                "actor": turn.actor,
                "seq": turn.seq,
                "command_id": turn.command_id,
                "recorded_ms": turn.recorded_ms,
                "events": len(turn.events),
                "size_bytes": size_bytes,
            }
        )
        await self._dead_letters.add(turn.actor.encode(), letter, reason)
        raise PublishRefused(turn.actor, turn.seq, reason)

    async def _learn_limit(self) -> None:
        """Somebody has set the topic's limit below ours."""
        try:
            self._bytes_max = await message_bytes_max(self._bootstrap, self._topic.name)
        except KafkaUnavailable as error:
            raise PublishFailed(str(error)) from error
        self._producer.batch_bytes_max = min(BATCH_BYTES_MAX, self._bytes_max)


def _headers(version: int) -> list[tuple[str, bytes]]:
    return [("version", b"%d" % version)]
