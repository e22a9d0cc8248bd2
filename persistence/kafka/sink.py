"""The sink: takes turns off the bus and gives them to an analytics store, in a consumer group.

Offsets are committed after the insert, so a turn may be inserted twice, never not at all. A restarted sink
begins behind the last commit; a group that is new begins with the oldest record that Kafka still has. In
memory is one batch, and what Kafka sends ahead for each partition. What can never be inserted goes to the
dead letters, and the stream goes on.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Collection, Coroutine, Mapping, Sequence
from typing import Any, ParamSpec

import msgspec
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, ConsumerRecord, TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError

from persistence.kafka.dead_letters import DeadLetters
from persistence.kafka.producer import DurableProducer
from persistence.kafka.sink_statistics import SinkStatistics
from persistence.kafka.topics import DEAD_LETTERS, EVENTS, Topic
from runtime.clock import Clock
from runtime.envelope import BadEnvelope, TurnEvents, decode_envelope
from runtime.relay import EventPublisher, PublishFailed, PublishRefused

_log = logging.getLogger(__name__)

_METADATA_MAX_AGE_MS = 30_000
"""A topic that was made anew is noticed then."""

P = ParamSpec("P")
_Received = tuple[ConsumerRecord, TurnEvents]


class SinkSettings(msgspec.Struct, frozen=True):
    group: str = "casino-sink"
    turns_per_batch_max: int = 2000
    fetch_bytes_max: int = 2**20
    """Sent ahead for each partition; a single record may be larger."""
    gather_ms: int = 100
    """How long Kafka lets records gather before it answers: many cost little more than one."""
    gather_bytes: int = 2**18
    """Enough to answer at once."""
    retry_first_s: float = 0.1
    retry_max_s: float = 5.0
    session_timeout_s: float = 10.0
    """A sink that was silent for so long is dead to the group."""
    request_timeout_s: float = 10.0
    revocation_patience_s: float = 5.0
    """How long the group waits for the batch in hand, before its partitions go to others."""
    measure_every_s: float = 1.0
    stalled_after_s: float = 30.0
    """When records wait, and none has come for so long, the consumer is made anew."""
    close_timeout_s: float = 5.0


class _Revoked(Exception):
    """The group has taken the partitions away. Their next owner begins behind the last commit."""


class EventSink:
    """Runs until it is cancelled. The publisher stays the caller's, to close."""

    def __init__(
        self,
        bootstrap: str,
        publisher: EventPublisher,
        clock: Clock,
        *,
        events: Topic = EVENTS,
        dead_letters: Topic = DEAD_LETTERS,
        settings: SinkSettings | None = None,
    ) -> None:
        self._bootstrap = bootstrap
        self._publisher = publisher
        self._clock = clock
        self._topic = events
        self._settings = settings or SinkSettings()
        self._producer = DurableProducer(bootstrap, deadline_s=self._settings.request_timeout_s)
        self._dead_letters = DeadLetters(self._producer, dead_letters)
        self._retry_s = self._settings.retry_first_s
        self._era = 0
        """Grows whenever partitions are taken away."""
        self._at_rest = asyncio.Event()
        self._at_rest.set()
        self._next: dict[TopicPartition, int] = {}
        """Offsets behind all that is inserted."""
        self._uncommitted: dict[TopicPartition, int] = {}
        self.statistics = SinkStatistics()

    async def run(self) -> None:
        """Tries again for ever, whatever is down."""
        try:
            while True:
                try:
                    await self._consume()
                except (KafkaError, OSError, TimeoutError) as error:
                    await self._pause_after(error)
        finally:
            await self._producer.close()

    async def _consume(self) -> None:
        """The life of one consumer, which ends with its first error."""
        settings = self._settings
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self._bootstrap,
            group_id=settings.group,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            max_partition_fetch_bytes=settings.fetch_bytes_max,
            fetch_min_bytes=settings.gather_bytes,
            fetch_max_wait_ms=settings.gather_ms,
            session_timeout_ms=int(settings.session_timeout_s * 1000),
            heartbeat_interval_ms=int(settings.session_timeout_s * 1000 / 4),
            request_timeout_ms=int(settings.request_timeout_s * 1000),
            retry_backoff_ms=500,
            metadata_max_age_ms=_METADATA_MAX_AGE_MS,
        )
        measuring: asyncio.Task[None] | None = None
        try:
            async with asyncio.timeout(settings.request_timeout_s):
                await consumer.start()
            consumer.subscribe([self._topic.name], listener=_Listener(self._give_up))
            measuring = asyncio.create_task(self._measure(consumer))
            moved = self._clock.monotonic()
            while True:
                batch = await consumer.getmany(timeout_ms=500, max_records=settings.turns_per_batch_max)
                if batch:
                    await self._take(consumer, batch)
                    moved = self._clock.monotonic()
                elif self._uncommitted:
                    await self._commit(consumer)
                elif not self.statistics.records_behind_total:
                    moved = self._clock.monotonic()
                elif self._clock.monotonic() - moved > settings.stalled_after_s:
                    # aiokafka does not say when the task that fetches has died.
                    raise KafkaError(f"records wait, and none came for {settings.stalled_after_s:.0f} s")
        finally:
            if measuring is not None:
                measuring.cancel()
            self._forget()
            await _dispose(consumer, settings.close_timeout_s)

    async def _take(
        self, consumer: AIOKafkaConsumer, batch: Mapping[TopicPartition, Sequence[ConsumerRecord]]
    ) -> None:
        self._at_rest.clear()
        try:
            for partition, records in batch.items():
                await self._expect(consumer, partition, records[0].offset)
            await self._insert([record for records in batch.values() for record in records], self._era)
            for partition, records in batch.items():
                self._next[partition] = self._uncommitted[partition] = records[-1].offset + 1
            await self._commit(consumer)
        except _Revoked:
            _log.info("batch dropped: its partitions were taken away")
        finally:
            self._at_rest.set()

    async def _expect(self, consumer: AIOKafkaConsumer, partition: TopicPartition, offset: int) -> None:
        """Say so when records were deleted before they were read."""
        expected = self._next.get(partition)
        if expected is None:
            async with asyncio.timeout(self._settings.request_timeout_s):
                expected = await consumer.committed(partition)
        if expected is not None and offset > expected:
            self.statistics.skipped += offset - expected
            _log.error(
                "records were gone before they were read",
                extra={"partition": partition.partition, "records": offset - expected},
            )
        self._next[partition] = offset

    async def _insert(self, records: Sequence[ConsumerRecord], era: int) -> None:
        received: list[_Received] = []
        for record in records:
            try:
                received.append((record, decode_envelope(record.value or b"")))
            except BadEnvelope as error:
                await self._bury(record, str(error), era)
        while received:
            turns = [turn for _, turn in received]
            try:
                await self._insist(era, self._publisher.publish, turns)
                break
            except PublishRefused as refusal:
                received = await self._bury_refused(received, refusal, era)
        self.statistics.count((record.partition, turn) for record, turn in received)

    async def _bury_refused(
        self, received: Sequence[_Received], refusal: PublishRefused, era: int
    ) -> list[_Received]:
        """The others."""
        kept: list[_Received] = []
        for record, turn in received:
            if (turn.actor, turn.seq) == (refusal.actor, refusal.seq):
                await self._bury(record, f"refused by the store: {refusal.reason}", era)
            else:
                kept.append((record, turn))
        if len(kept) == len(received):
            await self._pause_after(PublishFailed(f"refused, and not among those given: {refusal}"))
        return kept

    async def _bury(self, record: ConsumerRecord, reason: str, era: int) -> None:
        source = {
            "source_topic": record.topic,
            "source_partition": record.partition,
            "source_offset": record.offset,
        }
        await self._insist(era, self._dead_letters.add, record.key, record.value or b"", reason, source)
        self.statistics.dead_letters += 1
        _log.error("record left out, see the dead letters", extra={**source, "reason": reason})

    async def _insist(
        self, era: int, call: Callable[P, Awaitable[None]], *arguments: P.args, **options: P.kwargs
    ) -> None:
        """Until it succeeds. Raises :class:`_Revoked` and :class:`PublishRefused`."""
        while True:
            if era != self._era:
                raise _Revoked
            try:
                await call(*arguments, **options)
            except PublishFailed as error:
                await self._pause_after(error)
            else:
                self._retry_s = self._settings.retry_first_s
                return

    async def _commit(self, consumer: AIOKafkaConsumer) -> None:
        """What is inserted. A commit that is refused is made up for by the next. One that nobody answers ends
        this consumer: after an outage, aiokafka can wait for the group's coordinator for ever."""
        offsets = dict(self._uncommitted)
        try:
            async with asyncio.timeout(self._settings.request_timeout_s):
                await consumer.commit(offsets)
        except (CommitFailedError, IllegalStateError) as error:
            # The partitions belong to others, who will insert the batch again.
            _log.info("offsets not committed: partitions were taken away", extra={"reason": str(error)})
            self._uncommitted.clear()
        except TimeoutError:
            timeout_s = self._settings.request_timeout_s
            raise KafkaError(f"a commit of offsets was not answered within {timeout_s:.0f} s") from None
        except (KafkaError, OSError) as error:
            self._note(error)
        else:
            self._uncommitted.clear()

    async def _give_up(self) -> None:
        """Partitions are taken away: finish the batch in hand, if that takes but a moment."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._at_rest.wait(), self._settings.revocation_patience_s)
        self._forget()

    def _forget(self) -> None:
        self._era += 1
        self._next.clear()
        self._uncommitted.clear()

    async def _measure(self, consumer: AIOKafkaConsumer) -> None:
        """How far behind this sink is, now and then, even while it cannot insert."""
        while True:
            await asyncio.sleep(self._settings.measure_every_s)
            asked_ms, era = self._clock.now_ms(), self._era
            try:
                async with asyncio.timeout(self._settings.request_timeout_s):
                    partitions = sorted(consumer.assignment())
                    ends = await consumer.end_offsets(partitions) if partitions else {}
                    for each in partitions:
                        if each not in self._next:
                            self._next.setdefault(each, await consumer.position(each))
            except (KafkaError, OSError, TimeoutError) as error:
                _log.debug("lag not measured", extra={"reason": repr(error)})
                continue
            if era == self._era:
                behind = {each.partition: max(0, ends[each] - self._next[each]) for each in partitions}
                self.statistics.measured(behind, asked_ms)

    async def _pause_after(self, error: Exception) -> None:
        self._note(error)
        await asyncio.sleep(self._retry_s)
        self._retry_s = min(2 * self._retry_s, self._settings.retry_max_s)

    def _note(self, error: Exception) -> None:
        self.statistics.failures += 1
        reason = str(error) or type(error).__name__
        _log.warning("the sink is held up", extra={"reason": reason, "retry_s": self._retry_s})


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]
    def __init__(self, give_up: Callable[[], Awaitable[None]]) -> None:
        self._give_up = give_up

    async def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        await self._give_up()

    async def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        _log.info("partitions assigned", extra={"partitions": sorted(each.partition for each in assigned)})


async def _dispose(consumer: AIOKafkaConsumer, timeout_s: float) -> None:
    """Leave the group and close, in bounded time. Without a coordinator to leave, aiokafka's ``stop`` waits
    without end, or fails half way, and its parts have to be ended one by one."""
    if await _succeeds(consumer.stop(), timeout_s):
        return
    parts = [consumer._client.close]
    if consumer._coordinator is not None:
        coordinator = consumer._coordinator
        parts = [
            coordinator._stop_heartbeat_task,
            coordinator._stop_commit_offsets_refresh_task,
            consumer._fetcher.close,
            *parts,
        ]
    for part in parts:
        await _succeeds(part(), 1.0)


async def _succeeds(closing: Coroutine[Any, Any, None], timeout_s: float) -> bool:
    task = asyncio.create_task(closing)
    if not (await asyncio.wait([task], timeout=timeout_s))[0]:
        task.cancel()
        await asyncio.wait([task], timeout=1.0)
    if not task.done() or task.cancelled():
        return False
    if task.exception() is not None:
        _log.debug("consumer not closed in order", extra={"reason": repr(task.exception())})
        return False
    return True
