"""Where records go that nobody can use: to a topic of their own, each with its reason, for a person to read.

What went wrong, and where it came from, stands in the headers, as text: ``reason``, ``source_topic``,
``source_partition``, ``source_offset``. Whoever writes one may write it twice.
"""

from __future__ import annotations

from collections.abc import Mapping

from persistence.kafka.producer import DurableProducer, Record
from persistence.kafka.topics import DEAD_LETTERS, Topic

_KEY_BYTES_MAX = 1024
_REASON_CHARACTERS_MAX = 1024
_OVERHEAD_BYTES_MAX = 16_384
"""Of a record beside its value: key, reason, other headers."""


class DeadLetters:
    def __init__(self, producer: DurableProducer, topic: Topic = DEAD_LETTERS) -> None:
        self._producer = producer
        self._topic = topic

    async def add(
        self, key: bytes | None, value: bytes, reason: str, source: Mapping[str, object] | None = None
    ) -> None:
        """Durable when it returns. A value that is too large for the topic is cut, and a header
        ``cut_from_bytes`` says so. Raises :class:`~runtime.relay.PublishFailed`."""
        headers = {"reason": reason[:_REASON_CHARACTERS_MAX], **(source or {})}
        bytes_max = self._topic.message_bytes_max - _OVERHEAD_BYTES_MAX
        if len(value) > bytes_max:
            headers["cut_from_bytes"] = len(value)
        record = Record(
            key and key[:_KEY_BYTES_MAX],
            value[:bytes_max],
            [(name, str(text).encode(errors="replace")) for name, text in headers.items()],
        )
        await self._producer.send(self._topic.name, [record])
