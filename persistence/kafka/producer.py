"""Writes records to Kafka durably: idempotent, acknowledged by all replicas, in order for each key.

A producer that failed is not trusted again: aiokafka's own is dead for good after an error about its
sequence numbers, and waits without end for brokers that are away. It is thrown away, and the next call
makes a new one.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from aiokafka.partitioner import murmur2
from aiokafka.producer.message_accumulator import BatchBuilder

from runtime.relay import PublishFailed

_log = logging.getLogger(__name__)

BATCH_BYTES_MAX = 2**18
_DISPOSE_STEP_S = 1.0
_KEYS_REMEMBERED_MAX = 2**14


class Record(NamedTuple):
    key: bytes | None
    value: bytes
    headers: Sequence[tuple[str, bytes]] = ()


class DurableProducer:
    """One call at a time is under way; further ones wait for it."""

    def __init__(self, bootstrap: str, *, deadline_s: float = 10.0) -> None:
        """``deadline_s`` is how long to wait for one batch to be acknowledged, and for a connection."""
        self._bootstrap = bootstrap
        self._deadline_s = deadline_s
        self._producer: AIOKafkaProducer | None = None
        self._lock = asyncio.Lock()
        self._disposal: asyncio.Task[None] | None = None
        self.batch_bytes_max = BATCH_BYTES_MAX
        """Of the producers made from now on. A larger record is a batch by itself."""

    async def send(self, topic: str, records: Sequence[Record]) -> None:
        """All are acknowledged when it returns. Memory beside them: one batch for each partition.

        Raises:
            PublishFailed: some may have arrived. ``__cause__`` says what went wrong.
        """
        async with self._lock:
            try:
                async with asyncio.timeout(self._deadline_s) as deadline:
                    producer = await self._started()
                    partitions = sorted(await producer.partitions_for(topic))
                    async with asyncio.TaskGroup() as group:
                        for partition, share in _shares(records, len(partitions)).items():
                            group.create_task(
                                self._send(producer, topic, partitions[partition], share, deadline)
                            )
            except BaseException as error:
                self._discard()
                while isinstance(error, BaseExceptionGroup):
                    error = error.exceptions[0]
                if not isinstance(error, Exception):
                    raise
                reason = str(error) or type(error).__name__
                raise PublishFailed(f"Kafka at {self._bootstrap}: {reason}") from error

    async def close(self) -> None:
        """Within seconds, whatever the brokers do."""
        self._discard()
        if self._disposal is not None:
            await self._disposal

    async def _started(self) -> AIOKafkaProducer:
        if self._producer is None:
            if self._disposal is not None:
                await asyncio.shield(self._disposal)  # So that there are never more than two.
            producer = AIOKafkaProducer(
                bootstrap_servers=self._bootstrap,
                enable_idempotence=True,
                acks="all",
                max_batch_size=self.batch_bytes_max,
                request_timeout_ms=int(self._deadline_s * 1000),
            )
            self._producer = producer
            await producer.start()
        return self._producer

    async def _send(
        self,
        producer: AIOKafkaProducer,
        topic: str,
        partition: int,
        records: Sequence[Record],
        deadline: asyncio.Timeout,
    ) -> None:
        """Batch after batch, the next when the last is acknowledged. Filling batches ourselves takes a
        sixth of the time that a future for each record does."""

        async def acknowledged(batch: BatchBuilder) -> None:
            await (await producer.send_batch(batch, topic, partition=partition))
            deadline.reschedule(asyncio.get_running_loop().time() + self._deadline_s)

        batch = producer.create_batch()
        for record in records:
            if not _append(batch, record):
                await acknowledged(batch)
                batch = producer.create_batch()
                _append(batch, record)  # An empty batch takes a record of any size.
        await acknowledged(batch)

    def _discard(self) -> None:
        if self._producer is not None:
            self._disposal = asyncio.create_task(_dispose(self._producer, self._disposal))
            self._producer = None


def _append(batch: BatchBuilder, record: Record) -> bool:
    # The topic's own clock overrules this timestamp.
    key, value, headers = record
    return batch.append(timestamp=0, key=key, value=value, headers=headers) is not None


def _shares(records: Sequence[Record], partitions: int) -> dict[int, list[Record]]:
    shares: dict[int, list[Record]] = defaultdict(list)
    for record in records:
        shares[partition_of(record.key, partitions)].append(record)
    return shares


@functools.lru_cache(_KEYS_REMEMBERED_MAX)
def partition_of(key: bytes | None, partitions: int) -> int:
    """Where every other client of Kafka puts this key, too."""
    return 0 if key is None else (murmur2(key) & 0x7FFFFFFF) % partitions


async def _dispose(producer: AIOKafkaProducer, earlier: asyncio.Task[None] | None) -> None:
    """End it without waiting for acknowledgements. aiokafka has no public way: its ``stop`` waits for them,
    and with idempotence they may never come."""
    if earlier is not None:
        await earlier
    sender = producer._sender.sender_task
    if sender is not None:
        sender.cancel()
    with contextlib.suppress(Exception):
        await producer.client.close()  # Ends the requests that the sender waits for.
    if sender is not None and (await asyncio.wait([sender], timeout=_DISPOSE_STEP_S))[1]:
        sender.cancel()
        await asyncio.wait([sender], timeout=_DISPOSE_STEP_S)
    # Nobody waits for these any more, and ``stop`` would.
    producer._message_accumulator._batches.clear()
    producer._message_accumulator._pending_batches.clear()
    try:
        await asyncio.wait_for(producer.stop(), _DISPOSE_STEP_S)
    except (KafkaError, OSError, TimeoutError) as error:
        _log.debug("producer not closed in order", extra={"reason": repr(error)})
