"""The relay: reads the journal in the order of its commits, and publishes every turn's events.

The journal is the outbox; there is no other buffer. The relay holds at most two pages of it, and what
cannot be published stays where it is. Its place is stored after the publication, so a turn may be
published twice, never not at all.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Sequence
from typing import NamedTuple, Protocol

import msgspec

from runtime.clock import Clock
from runtime.envelope import BadTurn, TurnEvents, events_of
from runtime.errors import JournalError, RuntimeFault
from runtime.identity import ActorId
from runtime.journal import StoredTurn

_log = logging.getLogger(__name__)

_TURNS_AT_ONCE = 100
"""Made into envelopes before others have their turn on the event loop."""


class Place(NamedTuple):
    """How far the journal was read. In the order of commits, as far as it matters: a turn that becomes
    visible later stands behind every place that was handed out before."""

    transaction: int
    position: int


class Claim(NamedTuple):
    """Being the relay. ``epoch`` grows with each claim; only the latest may store a place."""

    epoch: int
    place: Place


class Page(NamedTuple):
    turns: list[StoredTurn]
    end: Place
    """Read on behind it. Equal to the place that was asked for, when there was nothing."""
    held_back_ms: int | None = None
    """Of an empty page: when the first turn was recorded that stands behind it and cannot be read yet,
    because one before it may still be committed."""


class Superseded(RuntimeFault):
    """Another relay has claimed the journal since."""


class PublishFailed(RuntimeFault):
    """It is not known to be published, whole or in part. Publish it again."""


class PublishRefused(RuntimeFault):
    """This one turn will never be accepted, whoever tries. It may be that no turn of the call arrived."""

    def __init__(self, actor: ActorId, seq: int, reason: str) -> None:
        super().__init__(actor, seq, reason)
        self.actor = actor
        self.seq = seq
        self.reason = reason

    def __str__(self) -> str:
        return f"turn {self.seq} of {self.actor}: {self.reason}"


class JournalTail(Protocol):
    """The relay's access to the journal."""

    async def claim(self) -> Claim:
        """Become the relay. Any earlier one is superseded at once."""
        ...

    async def resume(self, epoch: int) -> Claim:
        """The place that is stored. Raises :class:`Superseded`."""
        ...

    async def read(self, after: Place, turns_max: int) -> Page:
        """The next turns that no turn can come before any more: those of transactions older than
        the oldest that is still running. The page is full, or there are no more now."""
        ...

    async def advance(self, epoch: int, place: Place) -> None:
        """Store the place. Raises :class:`Superseded`."""
        ...


class EventPublisher(Protocol):
    """Where events go: a bus, or an analytics store."""

    async def publish(self, turns: Sequence[TurnEvents]) -> None:
        """Durable when it returns, in this order for each actor. May be repeated with the same turns,
        whole or in part: what is there twice counts once.

        Raises:
            PublishFailed: the turns may or may not have arrived. Another attempt may succeed.
            PublishRefused: one of them can never arrive; try again without it.
        """
        ...

    async def close(self) -> None: ...


class RelaySettings(msgspec.Struct, frozen=True):
    turns_per_page_max: int = 1000
    """Turns in memory are at most twice as many."""
    turns_first_page: int = 250
    bytes_per_page: int = 8 * 2**20
    """Of stored turns. The next page has as many turns as should fit, judging by those of the last."""
    poll_s: float = 0.1
    """Pause when there was nothing new."""
    retry_first_s: float = 0.1
    retry_max_s: float = 5.0


class RelayStatistics(msgspec.Struct):
    """Totals since the process started, and where it stands."""

    turns: int = 0
    events: int = 0
    failures: int = 0
    """Attempts to publish that failed, and reads."""
    refused: int = 0
    """Turns that were left out, because nobody could read them, or their receiver would never take them."""
    published_until_ms: int | None = None
    """What was recorded before is published. The lag is the time since. None before the first look."""
    held_back_ms: int | None = None
    """When the first turn was recorded that a transaction still running keeps from being read."""


class EventRelay:
    """Runs until it is superseded."""

    def __init__(
        self,
        tail: JournalTail,
        publisher: EventPublisher,
        clock: Clock,
        secret_events: Collection[str],
        settings: RelaySettings | None = None,
    ) -> None:
        self._tail = tail
        self._publisher = publisher
        self._clock = clock
        self._secret_events = frozenset(secret_events)
        self._settings = settings or RelaySettings()
        self._retry_s = self._settings.retry_first_s
        self._limit = min(self._settings.turns_first_page, self._settings.turns_per_page_max)
        self._epoch: int | None = None
        self.statistics = RelayStatistics()

    async def run(self) -> None:
        """Raises :class:`Superseded`; everything else that fails is tried again, for ever."""
        while True:
            try:
                # Once in a lifetime: another claim would supersede a successor. But a server that was
                # away may have come back with less than it had: what is stored counts, not what we know.
                claim = (
                    await self._tail.claim() if self._epoch is None else await self._tail.resume(self._epoch)
                )
                self._epoch = claim.epoch
                await self._relay(claim)
            except (JournalError, PublishFailed) as error:
                self.statistics.failures += 1
                _log.warning("cannot relay", extra={"reason": str(error), "retry_s": self._retry_s})
                await asyncio.sleep(self._retry_s)
                self._retry_s = min(2 * self._retry_s, self._settings.retry_max_s)

    async def _relay(self, claim: Claim) -> None:
        """Publish page after page, for ever. A full page means that there is more, which is read
        meanwhile; otherwise turns gather for a moment, because many cost little more than one."""
        asked_ms, page, is_full = await self._read(claim.place)
        while True:
            reading = asyncio.ensure_future(self._read(page.end)) if is_full else None
            try:
                self.statistics.held_back_ms = page.held_back_ms
                if page.turns:
                    await self._publish(page.turns)
                    await self._tail.advance(claim.epoch, page.end)
                elif page.held_back_ms is not None:
                    self.statistics.published_until_ms = min(asked_ms, page.held_back_ms)
                else:
                    self.statistics.published_until_ms = asked_ms
                self._retry_s = self._settings.retry_first_s
                if reading is None:
                    await asyncio.sleep(self._settings.poll_s)
                    asked_ms, page, is_full = await self._read(page.end)
                else:
                    asked_ms, page, is_full = await reading
            finally:
                if reading is not None:
                    reading.cancel()
                    await asyncio.gather(reading, return_exceptions=True)

    async def _read(self, after: Place) -> tuple[int, Page, bool]:
        """The page, when it was asked for (what was recorded before is in it, or was), and whether it
        is full."""
        asked_ms, limit = self._clock.now_ms(), self._limit
        page = await self._tail.read(after, limit)
        if page.turns:
            size = sum(len(turn.body) for turn in page.turns) / len(page.turns)
            fitting = int(self._settings.bytes_per_page / max(size, 1.0))
            self._limit = max(1, min(fitting, 2 * limit, self._settings.turns_per_page_max))
        return asked_ms, page, len(page.turns) >= limit

    async def _publish(self, turns: Sequence[StoredTurn]) -> None:
        statistics = self.statistics
        statistics.published_until_ms = turns[0].recorded_ms
        published = []
        for number, turn in enumerate(turns):
            if number % _TURNS_AT_ONCE == 0:
                await asyncio.sleep(0)
            try:
                published.append(events_of(turn, self._secret_events))
            except BadTurn as error:
                self._leave_out(turn.actor, turn.seq, str(error))
        while True:
            try:
                await self._publisher.publish(published)
                break
            except PublishRefused as error:
                accepted = [turn for turn in published if (turn.actor, turn.seq) != (error.actor, error.seq)]
                if len(accepted) == len(published):
                    raise PublishFailed(f"refused, and not among those given: {error}") from error
                self._leave_out(error.actor, error.seq, error.reason)
                published = accepted
        statistics.turns += len(published)
        statistics.events += sum(len(turn.events) for turn in published)
        statistics.published_until_ms = turns[-1].recorded_ms

    def _leave_out(self, actor: ActorId, seq: int, reason: str) -> None:
        _log.error("turn left out", extra={"actor": actor, "seq": seq, "reason": reason})
        self.statistics.refused += 1
