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
_LOOK_EVERY_S = 1.0
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
        self._waiting_since_ms: int | None = None
        """Of the journal, before the relay itself has looked."""
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
        await _first_end(self._publish(), self._look_ahead(), *checking)

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
        relayed, now_ms = self._relay.statistics, self._clock.now_ms()
        held_back_ms = relayed.held_back_ms
        return {
            **_lag(self._published_until_ms(), now_ms),
            "held_up_seconds": 0.0 if held_back_ms is None else _age_s(held_back_ms, now_ms),
            "has_bus": int(self._kafka is not None),
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
        return _asked_about(self._analytics, question, arguments)

    def _published_until_ms(self) -> int | None:
        return self._relay.statistics.published_until_ms or self._waiting_since_ms

    async def _look_ahead(self) -> None:
        """Before the relay can publish anything it is known how long that has been waiting."""
        while self._relay.statistics.published_until_ms is None:
            with contextlib.suppress(JournalError):
                self._waiting_since_ms = await self._tail.waiting_since_ms()
            await asyncio.sleep(_LOOK_EVERY_S)
        await asyncio.Event().wait()


class SinkService:
    kind = "sink"

    def __init__(self, configuration: Configuration) -> None:
        assert configuration.kafka is not None
        clock = self._clock = SystemClock()
        self._kafka = configuration.kafka
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
        is_known = taken.inserted_until_ms is not None
        return {
            **_lag(taken.inserted_until_ms, self._clock.now_ms()),
            **({"lag_records": taken.records_behind_total} if is_known else {}),
            "turns_total": taken.turns,
            "events_total": taken.events,
            "failures_total": taken.failures,
            "dead_letters_total": taken.dead_letters,
            "skipped_records_total": taken.skipped,
        }

    def parts(self) -> Mapping[str, Figures]:
        return self._analytics.figures()

    def recent(self) -> list[Any]:
        return self._publisher.shown()

    async def ask(self, question: str, arguments: Mapping[str, Any]) -> Any:
        return _asked_about(self._analytics, question, arguments)


def _lag(until_ms: int | None, now_ms: int) -> dict[str, float]:
    """Nothing, while it is not known: an alert asks for it."""
    return {} if until_ms is None else {"lag_seconds": _age_s(until_ms, now_ms)}


def _age_s(since_ms: int, now_ms: int) -> float:
    return max(0, now_ms - since_ms) / 1000


def _asked_about(analytics: Analytics | None, question: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """``reconcile`` begins a comparison, ``reconciliation`` tells of one; both as plain objects."""
    if analytics is None:
        raise ValueError("the analytics store is another process's")
    if question == "reconcile":
        run = analytics.begin(**arguments)
    elif question == "reconciliation":
        run = analytics.known(**arguments)
    else:
        raise ValueError(f"unknown question {question!r}")
    told: dict[str, Any] = msgspec.to_builtins(run)
    return told


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
