"""Compares what the analytics store has with the journal, event by event where they differ, and repairs it.

Hours are compared by their counts. An hour that differs is looked at in spans of seconds, a span that
differs turn by turn, and a turn that lacks an event is read from the journal and published again. An
empty store is only the extreme case of that: everything is rebuilt. The store is never deleted from.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from functools import partial
from typing import Generic, NamedTuple, TypeVar

import msgspec

from persistence.clickhouse.event_counts import EventCounts, StoredTally
from persistence.postgres.journal_counts import BEFORE_ALL, NOTHING, JournalCounts, Tally, TurnKey
from runtime.envelope import BadTurn, events_of
from runtime.identity import ActorId
from runtime.relay import EventPublisher, PublishFailed, PublishRefused

T = TypeVar("T")

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
_SPAN_MS = 10_000
_TURNS_PER_PUBLICATION = 5000
_ATTEMPTS = 5
_RETRY_FIRST_S = 0.2
_SAMPLES_MAX = 20

_EMPTY = StoredTally(0, 0, 0)


class Report(msgspec.Struct):
    """Counts are of events."""

    hours: int = 0
    """Compared, as far as they had any event on either side."""
    events: int = 0
    """In the journal, in those hours."""
    missing: int = 0
    """In the journal, not in the store."""
    repaired: int = 0
    """Of those missing, published again and found there now."""
    duplicates: int = 0
    """In the store more than once. Questions count them once all the same."""
    removed: int = 0
    """Of the duplicates."""
    unexpected: int = 0
    """In the store, not in the journal. Left there for people to look at."""
    unexpected_turns: list[str] = []
    """Some of them, as ``actor seq``."""
    refused_turns: list[str] = []
    """Some of the turns that the store never takes, with the reason."""

    @property
    def is_consistent(self) -> bool:
        """Whether both had the same, each once, before anything was repaired."""
        return not (self.missing or self.duplicates or self.unexpected)


class Progress(NamedTuple):
    hours_done: int
    hours_total: int
    report: Report


class Reconciliation:
    def __init__(
        self,
        journal: JournalCounts,
        store: EventCounts,
        publisher: EventPublisher,
        secret_events: Collection[str],
        *,
        turns_per_page_max: int = 20_000,
    ) -> None:
        """``turns_per_page_max``: how many keys of turns are in memory, of either side."""
        self._journal = journal
        self._store = store
        self._publisher = publisher
        self._secret_events = secret_events
        self._page_turns = turns_per_page_max

    async def run(
        self,
        until_ms: int,
        *,
        since_ms: int = 0,
        repair: bool = True,
        progress: Callable[[Progress], None] | None = None,
    ) -> Report:
        """Compare the turns recorded in ``since_ms <= t < until_ms``, from the first there is. Let
        ``until_ms`` be so long ago that the relay has published everything before, ``since_ms`` after what
        the store has forgotten.

        Raises what the journal and the store raise when they cannot be reached. What was repaired until
        then is; begin anew.
        """
        report = Report()
        firsts = [
            first
            for first in (await self._journal.earliest_ms(), await self._store.earliest_ms())
            if first is not None
        ]
        if not firsts:
            return report
        first_hour = max(since_ms, min(firsts)) // HOUR_MS * HOUR_MS
        hours_total = max(0, -(-(until_ms - first_hour) // HOUR_MS))
        for day in range(first_hour // DAY_MS * DAY_MS, until_ms, DAY_MS):
            begin, end = max(day, first_hour, since_ms), min(day + DAY_MS, until_ms)
            stored = await self._store.tallies(begin, end, HOUR_MS)
            duplicates, repaired = 0, report.repaired
            for hour in range(begin // HOUR_MS * HOUR_MS, end, HOUR_MS):
                since, until = max(begin, hour), min(end, hour + HOUR_MS)
                duplicates += await self._hour(report, since, until, stored.get(hour, _EMPTY), repair)
                if progress is not None:
                    progress(Progress((hour - first_hour) // HOUR_MS + 1, hours_total, report))
            if repair and (duplicates or report.repaired > repaired):
                # A turn that lacked one event was published again with all of them.
                if await self._doubled(day, begin, end):
                    await self._store.merge_day(day)
                report.removed += max(0, duplicates - await self._doubled(day, begin, end))
        return report

    async def _doubled(self, day_ms: int, since_ms: int, until_ms: int) -> int:
        stored = (await self._store.tallies(since_ms, until_ms, DAY_MS)).get(day_ms, _EMPTY)
        return stored.rows - stored.events

    async def _hour(
        self, report: Report, since_ms: int, until_ms: int, stored: StoredTally, repair: bool
    ) -> int:
        """Add what there is to say of an hour. Returns how many events are in it more than once."""
        counted = (await self._journal.tallies(since_ms, until_ms, HOUR_MS)).get(
            since_ms // HOUR_MS * HOUR_MS, NOTHING
        )
        if counted == NOTHING and stored == _EMPTY:
            return 0
        duplicates = stored.rows - stored.events
        report.hours += 1
        report.events += counted.events
        report.duplicates += duplicates
        if counted != Tally(stored.events, stored.checksum):
            await self._difference(report, since_ms, until_ms, stored == _EMPTY, repair)
            if repair:
                # What was published again is not necessarily what was found there.
                now = (await self._store.tallies(since_ms, until_ms, HOUR_MS)).get(
                    since_ms // HOUR_MS * HOUR_MS, _EMPTY
                )
                report.repaired += max(0, now.events - stored.events)
        return duplicates

    async def _difference(
        self, report: Report, since_ms: int, until_ms: int, is_empty: bool, repair: bool
    ) -> None:
        counted = await self._journal.tallies(since_ms, until_ms, _SPAN_MS)
        stored = {} if is_empty else await self._store.tallies(since_ms, until_ms, _SPAN_MS)
        incomplete: list[TurnKey] = []
        for span in sorted(counted.keys() | stored.keys()):
            there = stored.get(span, _EMPTY)
            if counted.get(span, NOTHING) == Tally(there.events, there.checksum):
                continue
            begin, end = max(since_ms, span), min(until_ms, span + _SPAN_MS)
            ours = _Pages(partial(self._journal.turns, begin, end, self._page_turns), self._page_turns)
            theirs = _Pages(
                partial(self._stored_turns, begin, end) if there.events else _none, self._page_turns
            )
            async for key, expected, indexes in _merged(ours, theirs):
                known = sum(index < expected for index in indexes)
                report.missing += expected - known
                if len(indexes) > known:
                    report.unexpected += len(indexes) - known
                    _add_sample(report.unexpected_turns, f"{key.actor} {key.seq}")
                if known < expected and repair:
                    incomplete.append(key)
                    if len(incomplete) >= _TURNS_PER_PUBLICATION:
                        await self._publish_again(report, incomplete)
                        incomplete = []
        if incomplete:
            await self._publish_again(report, incomplete)

    async def _stored_turns(
        self, since_ms: int, until_ms: int, after: TurnKey
    ) -> list[tuple[TurnKey, list[int]]]:
        turns = await self._store.turns(since_ms, until_ms, self._page_turns, after)
        return [(TurnKey(ActorId(actor), seq), indexes) for actor, seq, indexes in turns]

    async def _publish_again(self, report: Report, keys: list[TurnKey]) -> None:
        turns = {}
        for turn in sorted(await self._journal.read(keys)):
            try:
                turns[TurnKey(turn.actor, turn.seq)] = events_of(turn, self._secret_events)
            except BadTurn as error:
                _add_sample(report.refused_turns, str(error))
        failures = 0
        retry_s = _RETRY_FIRST_S
        while turns:
            try:
                await self._publisher.publish(list(turns.values()))
                return
            except PublishRefused as refusal:
                if turns.pop(TurnKey(refusal.actor, refusal.seq), None) is None:
                    raise
                _add_sample(report.refused_turns, str(refusal))
            except PublishFailed:
                failures += 1
                if failures >= _ATTEMPTS:
                    raise
                await asyncio.sleep(retry_s)
                retry_s *= 2


class _Pages(Generic[T]):
    """What is known of one turn after the other, fetched in pages, in the order of their keys."""

    def __init__(
        self, fetch: Callable[[TurnKey], Awaitable[list[tuple[TurnKey, T]]]], turns_max: int
    ) -> None:
        self._fetch = fetch
        self._turns_max = turns_max
        self._page: list[tuple[TurnKey, T]] = []
        self._after = BEFORE_ALL
        self._is_last = False

    async def next(self) -> tuple[TurnKey, T] | None:
        if not self._page and not self._is_last:
            self._page = await self._fetch(self._after)
            self._is_last = len(self._page) < self._turns_max
            if self._page:
                self._after = self._page[-1][0]
                self._page.reverse()
        return self._page.pop() if self._page else None


async def _merged(
    ours: _Pages[int], theirs: _Pages[list[int]]
) -> AsyncIterator[tuple[TurnKey, int, list[int]]]:
    """Each turn that either has, with the events of the one and the indexes of the other."""
    our, their = await ours.next(), await theirs.next()
    while our is not None or their is not None:
        if their is None or (our is not None and our[0] < their[0]):
            assert our is not None
            yield our[0], our[1], []
            our = await ours.next()
        elif our is None or their[0] < our[0]:
            yield their[0], 0, their[1]
            their = await theirs.next()
        else:
            yield our[0], our[1], their[1]
            our, their = await ours.next(), await theirs.next()


async def _none(after: TurnKey) -> list[tuple[TurnKey, list[int]]]:
    return []


def _add_sample(samples: list[str], sample: str) -> None:
    if len(samples) < _SAMPLES_MAX:
        samples.append(sample)
