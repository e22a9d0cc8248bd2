"""Topics: what the client is subscribed to, and who reads what is told there.

Owns that a subscription outlives the connection it was made on. The server forgets it with the
connection, so it is asked for again on the next one; what was told between is lost, and each topic
begins again with its whole state.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

from clients.errors import ClientError, CommandFailed, CommandTimeout
from clients.protocol import Broadcast

GiveCommand = Callable[[str, Mapping[str, Any]], Awaitable[dict[str, Any]]]


class Listener(Protocol):
    """Takes in broadcasts. ``topic`` is None for one that hears all topics."""

    topic: str | None

    def hear(self, broadcast: Broadcast) -> None:
        """Take in one broadcast, of this topic or another. Must not fail or block."""

    def finish(self, error: ClientError | None) -> None:
        """Nothing more will come."""


class Topics:
    """A client's subscriptions."""

    def __init__(self, command: GiveCommand) -> None:
        self._command = command
        self._held: Counter[str] = Counter()
        self._listeners: list[Listener] = []
        self._again: asyncio.Task[None] | None = None

    @property
    def held(self) -> frozenset[str]:
        """The topics that are subscribed to."""
        return frozenset(self._held)

    async def subscribe(self, topic: str) -> None:
        """Hold the topic once more. Asks each time: each holder gets the whole state once."""
        await self._command("subscribe", {"topic": topic})
        self._held[topic] += 1

    async def unsubscribe(self, topic: str) -> None:
        """Let go of the topic; the server is told when nobody holds it any more."""
        if topic not in self._held:
            return
        self._held[topic] -= 1
        if self._held[topic] == 0:
            del self._held[topic]
            await self._command("unsubscribe", {"topic": topic})

    def add(self, listener: Listener) -> None:
        self._listeners.append(listener)

    def remove(self, listener: Listener) -> None:
        if listener in self._listeners:
            self._listeners.remove(listener)

    def tell(self, broadcast: Broadcast) -> None:
        for listener in tuple(self._listeners):
            listener.hear(broadcast)

    def connected(self) -> None:
        """There is a new connection, which knows of no topic."""
        if self._again is not None:
            self._again.cancel()
            self._again = None
        if self._held:
            self._again = asyncio.create_task(self._subscribe_again(), name="casino-client-topics")

    def stop(self, error: ClientError | None) -> None:
        """Nothing more will come, on any topic."""
        if self._again is not None:
            self._again.cancel()
        for listener in self._listeners:
            listener.finish(error)
        self._listeners.clear()
        self._held.clear()

    async def _subscribe_again(self) -> None:
        for topic in tuple(self._held):
            while topic in self._held:
                try:
                    await self._command("subscribe", {"topic": topic})
                    break
                except CommandTimeout:
                    continue
                except CommandFailed as error:
                    self._give_up(topic, error)
                except ClientError:
                    return  # the client has stopped, and tells everybody itself

    def _give_up(self, topic: str, error: CommandFailed) -> None:
        self._held.pop(topic, None)
        for listener in tuple(self._listeners):
            if listener.topic == topic:
                listener.finish(error)
                self._listeners.remove(listener)
