"""Watch a Crash table: its events as a stream, the table as they tell it, and proof of every round.

Owns when to subscribe, and when to ask for what was published. What events mean is the table's,
what a proof is ``crash_fairness``'s.
"""

from __future__ import annotations

import asyncio
import contextlib
from types import TracebackType
from typing import Self

from clients.backoff import Backoff
from clients.crash_events import CrashEvent, CrashTick, crash_event, crash_topic
from clients.crash_fairness import CrashFairness, RoundChecker, fetch_crash_fairness
from clients.crash_table import CrashTable
from clients.errors import ClientError, ConnectionLost, ProtocolViolation, UnfairRound
from clients.protocol import Broadcast
from clients.subscription import Stream
from clients.topics import Topics

_ASK_FAIRNESS_MAX = 8
_LEAVE_WITHIN_S = 2.0


class CrashWatch(Stream[CrashEvent]):
    """The events of one table, while it is entered::

        async with client.watch_crash() as watch:
            async for event in watch:
                print(watch.table.phase, watch.table.multiplier())

    :attr:`table` is kept up to date as events arrive, whether or not anybody reads them. For readers
    that fall behind, a tick that waits unread gives way to the next one.

    Each finished round is proved to be what the house had committed itself to. When one is not, it
    stands in ``table.unfair_rounds``, and iteration raises :class:`UnfairRound` after the round's own
    events; the table is kept up to date still.
    """

    def __init__(self, table: str, topics: Topics, http_url: str, events_max: int) -> None:
        super().__init__(events_max, on_close=topics.remove)
        self.topic: str | None = crash_topic(table)
        self.table = CrashTable(table)
        self._topics = topics
        self._http_url = http_url
        self._asking: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """
        Raises:
            UnfairRound: the last hash published does not lead to the terminating hash.
            CommandFailed: there is no such table.
            ClientError: what was published cannot be had, or the client has stopped.
        """
        name = self.table.table
        self.table.trust(await self._proved(await fetch_crash_fairness(self._http_url, name)))
        self._topics.add(self)
        try:
            await self._topics.subscribe(crash_topic(name))
        except BaseException:
            self.close()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
        # A courtesy to the server, which forgets the subscription with the connection anyway.
        with contextlib.suppress(ClientError, TimeoutError):
            async with asyncio.timeout(_LEAVE_WITHIN_S):
                await self._topics.unsubscribe(crash_topic(self.table.table))

    def close(self) -> None:
        """Stop receiving. Events already waiting can still be read."""
        if self._asking is not None:
            self._asking.cancel()
        self._topics.remove(self)
        if not self._finished:
            self.finish(None)

    def hear(self, broadcast: Broadcast) -> None:
        """Called by the client, for broadcasts of every topic."""
        try:
            event = crash_event(broadcast, self.table.table)
        except ProtocolViolation as error:
            self._topics.remove(self)
            self._fail(error)
            return
        if event is None:
            return
        sent_ms = broadcast.timestamp
        self.table.apply(event, sent_ms if isinstance(sent_ms, int | float) else None)
        self.put(event)
        self._report()
        if self.table.needs_fairness and (self._asking is None or self._asking.done()):
            self._asking = asyncio.create_task(self._ask_again(), name="casino-client-fairness")

    def put(self, event: CrashEvent) -> None:
        if self._finished:
            return
        if self._waiting and isinstance(event, CrashTick) and isinstance(self._waiting[-1], CrashTick):
            self._waiting.pop()
        super().put(event)

    def _report(self) -> None:
        if self.table.unfair_rounds:
            self._fail(self.table.unfair_rounds[0])

    def _fail(self, error: ClientError) -> None:
        if not self._finished:
            self.finish(error)

    async def _proved(self, fairness: CrashFairness) -> RoundChecker:
        checker = RoundChecker(fairness)
        # In a thread: half a second for a million rounds would hold up the connection.
        await asyncio.to_thread(checker.check_published)
        return checker

    async def _ask_again(self) -> None:
        """A round is of a chain that is not known yet: the one before must be used up."""
        backoff = Backoff(base_s=0.5, ceiling_s=10.0)
        error: ClientError | None = None
        for _ in range(_ASK_FAIRNESS_MAX):
            try:
                self.table.trust(
                    await self._proved(await fetch_crash_fairness(self._http_url, self.table.table))
                )
                error = None
            except ConnectionLost as lost:
                error = lost
            except UnfairRound as unfair:
                self.table.unfair_rounds.append(unfair)
            except ClientError as final:
                self._fail(final)
                return
            self._report()
            if self._finished or not self.table.needs_fairness:
                return
            await asyncio.sleep(backoff.next_s())
        if error is not None:
            self._fail(error)
            return
        self.table.give_up_unverified()
        self._report()
