"""Bounded queues between the client and whoever reads its events.

Owns the overflow policy and nothing else: a reader that is too slow loses the oldest unread
events, is told how many, and never holds up the connection or another reader.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, Generic, Self, TypeVar

from clients.errors import ClientError
from clients.protocol import Broadcast, Event

Item = TypeVar("Item")


class Stream(Generic[Item]):
    """An async iterator over what arrives, from the moment it was made.

    Overflow: when ``events_max`` events wait, the oldest is dropped and :attr:`dropped` grows.
    ``CasinoClient.state`` is not affected. Iteration ends when the client is closed, and raises
    the client's error when it failed.
    """

    def __init__(self, events_max: int, on_close: Callable[[Any], None]) -> None:
        if events_max < 1:
            raise ValueError("events_max must be at least 1")
        self.dropped = 0
        """Events lost to overflow so far."""
        self._waiting: deque[Item] = deque(maxlen=events_max)
        self._arrived = asyncio.Event()
        self._finished = False
        self._error: ClientError | None = None
        self._on_close = on_close

    def put(self, event: Item) -> None:
        """Called by the client. Never blocks."""
        if len(self._waiting) == self._waiting.maxlen:
            self.dropped += 1
        self._waiting.append(event)
        self._arrived.set()

    def finish(self, error: ClientError | None) -> None:
        """Called by the client: nothing more will come."""
        self._finished = True
        self._error = error
        self._arrived.set()

    def close(self) -> None:
        """Stop receiving. Events already waiting can still be read."""
        self._on_close(self)
        self.finish(None)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Item:
        while not self._waiting:
            if self._finished:
                if self._error is not None:
                    raise self._error
                raise StopAsyncIteration
            self._arrived.clear()
            await self._arrived.wait()
        return self._waiting.popleft()


class EventStream(Stream[Event]):
    """The player's own events: numbered, and gap-free but for overflow."""


class BroadcastStream(Stream[Broadcast]):
    """The events of every topic that the client is subscribed to."""

    topic: str | None = None

    def hear(self, broadcast: Broadcast) -> None:
        """Called by the client."""
        self.put(broadcast)
