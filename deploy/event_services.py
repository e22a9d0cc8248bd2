"""The services that move events on: see ``runtime.cluster.wiring.Service``.

With Kafka the relay publishes to it, and the sink takes events from there into the analytics store;
without, the relay writes to the store itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

import msgspec

from actors.catalogue import SECRET_EVENTS
from deploy.analytics import Analytics
from deploy.configuration import Configuration
from deploy.recent_turns import RecentTurns
from persistence.kafka.publisher import KafkaPublisher
from persistence.kafka.sink import EventSink
from persistence.kafka.topics import KafkaUnavailable, ensure_topics
from persistence.postgres.journal_tail import PostgresJournalTail
from runtime.clock import SystemClock
from runtime.cluster.reporter import Figures
from runtime.cluster.wiring import Service
from runtime.errors import JournalError
from runtime.relay import EventRelay, RelaySettings

_log = logging.getLogger(__name__)

_TURNS_PER_PAGE = 4000
"""Many cost little more than one, of an insert above all."""
_MEASURE_EVERY_S = 1.0
_TOPICS_RETRY_S = 2.0


def open_event_service(name: str, configuration: Configuration) -> Service:
    """The service of this name, as ``CasinoWiring.services`` has it."""
    makers: Mapping[str, Callable[[Configuration], Service]] = {
        "event-relay": RelayService,
        "event-sink": SinkService,
    }
    return makers[name](configuration)


class RelayService:
    kind = "relay"

    def __init__(self, configuration: Configuration) -> None:
        clock = self._clock = SystemClock()
        self._kafka = configuration.kafka
        self._began_ms = clock.now_ms()
        self._held_up_s = 0.0
        self._waiting_since_ms: int | None = None
        self._tail = PostgresJournalTail(configuration.dsn)
        self._analytics: Analytics | None = None
        if self._kafka is None:
            self._analytics = Analytics(configuration, clock, self._published_until_ms)
            self._publisher = RecentTurns(self._analytics.store)
        else:
            self._publisher = RecentTurns(KafkaPublisher(self._kafka))
        self._relay = EventRelay(
            self._tail,
            self._publisher,
            clock,
            SECRET_EVENTS,
            RelaySettings(turns_per_page_max=_TURNS_PER_PAGE),
        )

    async def run(self) -> None:
        checking = [self._analytics.run()] if self._analytics else []
        await _first_end(self._publish(), self._measure(), *checking)

    async def _publish(self) -> None:
        if self._kafka is not None:
            await _topics(self._kafka)
        await self._relay.run()

    async def stop(self) -> None:
        if self._analytics is not None:
            await self._analytics.close()
        await self._publisher.close()
        await self._tail.close()

    def figures(self) -> Figures:
        relayed = self._relay.statistics
        return {
            "lag_seconds": _age_s(self._published_until_ms() or self._began_ms, self._clock.now_ms()),
            "held_up_seconds": round(self._held_up_s, 3),
            "turns_total": relayed.turns,
            "events_total": relayed.events,
            "failures_total": relayed.failures,
            "refused_turns_total": relayed.refused,
        }

    def parts(self) -> Mapping[str, Figures]:
        return self._analytics.figures() if self._analytics else {}

    def recent(self) -> list[Any]:
        return self._publisher.shown()

    async def ask(self, question: str, arguments: Mapping[str, Any]) -> Any:
        return await _asked_about(self._analytics, question, arguments)

    def _published_until_ms(self) -> int | None:
        """What was recorded before is published, but for what a transaction holds up that still runs."""
        until_ms = self._relay.statistics.published_until_ms or self._waiting_since_ms
        return until_ms and min(until_ms, self._clock.now_ms() - int(1000 * self._held_up_s))

    async def _measure(self) -> None:
        while True:
            with contextlib.suppress(JournalError):
                if not self._relay.statistics.published_until_ms:
                    asked_ms = self._clock.now_ms()
                    self._waiting_since_ms = await self._tail.waiting_since_ms() or asked_ms
                self._held_up_s = await self._tail.held_up_s()
            await asyncio.sleep(_MEASURE_EVERY_S)


class SinkService:
    kind = "sink"

    def __init__(self, configuration: Configuration) -> None:
        assert configuration.kafka is not None
        clock = self._clock = SystemClock()
        self._kafka = configuration.kafka
        self._began_ms = clock.now_ms()
        self._analytics = Analytics(configuration, clock, lambda: self._sink.statistics.inserted_until_ms)
        self._publisher = RecentTurns(self._analytics.store)
        self._sink = EventSink(self._kafka, self._publisher, clock)

    async def run(self) -> None:
        await _topics(self._kafka)
        await _first_end(self._sink.run(), self._analytics.run())

    async def stop(self) -> None:
        await self._analytics.close()

    def figures(self) -> Figures:
        taken = self._sink.statistics
        return {
            "lag_seconds": _age_s(taken.inserted_until_ms or self._began_ms, self._clock.now_ms()),
            **({} if taken.inserted_until_ms is None else {"lag_records": taken.records_behind_total}),
            "turns_total": taken.turns,
            "events_total": taken.events,
            "failures_total": taken.failures,
            "dead_letters_total": taken.dead_letters,
        }

    def parts(self) -> Mapping[str, Figures]:
        return self._analytics.figures()

    def recent(self) -> list[Any]:
        return self._publisher.shown()

    async def ask(self, question: str, arguments: Mapping[str, Any]) -> Any:
        return await _asked_about(self._analytics, question, arguments)


def _age_s(since_ms: int, now_ms: int) -> float:
    return max(0, now_ms - since_ms) / 1000


async def _asked_about(
    analytics: Analytics | None, question: str, arguments: Mapping[str, Any]
) -> dict[str, Any]:
    """``reconcile`` begins a comparison, ``reconciliation`` tells of the last; both as plain objects."""
    if analytics is None:
        raise ValueError("the analytics store is another process's")
    if question == "reconcile":
        await analytics.reconcile(**arguments)
    elif question != "reconciliation":
        raise ValueError(f"unknown question {question!r}")
    run: dict[str, Any] = msgspec.to_builtins(analytics.last_run)
    return run


async def _topics(kafka: str) -> None:
    """Make the topics, however long Kafka is away. Events wait in the journal meanwhile."""
    while True:
        try:
            return await ensure_topics(kafka)
        except KafkaUnavailable as error:
            _log.warning("no topics yet", extra={"reason": str(error)})
        await asyncio.sleep(_TOPICS_RETRY_S)


async def _first_end(*works: Coroutine[Any, Any, None]) -> None:
    """Run all until one ends. Raises what that raised; the others are cancelled."""
    tasks = [asyncio.create_task(work) for work in works]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
