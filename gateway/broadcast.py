"""Writing the same frames to many sockets: in order, and a slice of the sockets per loop turn.

Owns the queue of one topic and the loop that is hot when thousands watch. It must not know what
a frame means, nor who may receive it; that is ``gateway.topics``.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from gateway.codec import Codec
from gateway.counters import Counters

_log = logging.getLogger(__name__)


class Outlet(Protocol):
    """A socket, as a topic sees it. The attributes are for the one loop that cannot afford calls."""

    @property
    def codec(self) -> Codec: ...
    @property
    def pending(self) -> Sequence[bytes]:
        """Frames that stand before any that come now. The same object for the socket's life."""
        ...

    @property
    def write(self) -> Callable[[bytes], None]:
        """Write at once. Only while ``pending`` is empty."""
        ...

    def send(self, frames: bytes) -> None:
        """Write after what is pending; cut the socket off when too much is unsent."""
        ...

    def abort(self) -> None: ...


class Membership:
    """One socket's subscription to one topic. Whoever owns the socket says when it is a slow reader."""

    __slots__ = ("codec", "is_blocked", "is_ended", "outlet", "pending", "tick", "topic", "write")

    def __init__(self, topic: str, outlet: Outlet) -> None:
        self.topic = topic
        self.outlet = outlet
        self.codec = outlet.codec
        self.pending = outlet.pending
        self.write = outlet.write
        self.is_ended = False
        self.is_blocked = False
        """Not to be written to directly: paused or ended."""
        self.tick: bytes | None = None
        """The newest tick that came while the socket was paused, and no event after it."""

    def pause(self) -> None:
        """The socket's buffer is not empty."""
        self.is_blocked = True

    def resume(self) -> None:
        """It is empty again."""
        if self.is_ended:
            return
        self.is_blocked = False
        tick, self.tick = self.tick, None
        if tick is not None:
            self.outlet.send(tick)

    def end(self) -> None:
        """Nothing is written any more, whatever is queued."""
        self.is_ended = self.is_blocked = True
        self.tick = None


Parts = list[tuple[bytes, list[Membership]]]
"""Frames, and who gets them: one entry per subprotocol."""


class Audience:
    """Members by subprotocol, in the order in which they came."""

    def __init__(self) -> None:
        self._members: dict[Codec, dict[Membership, None]] = {}
        self._listed: dict[Codec, list[Membership]] = {}
        """Never changed once made: an event on its way goes to those who were there when it came."""

    def __bool__(self) -> bool:
        return any(self._members.values())

    def __iter__(self) -> Iterator[Membership]:
        for members in self._members.values():
            yield from members

    def __contains__(self, member: Membership) -> bool:
        return member in self._members.get(member.codec, ())

    def add(self, member: Membership) -> None:
        self._members.setdefault(member.codec, {})[member] = None
        self._listed.pop(member.codec, None)

    def discard(self, member: Membership) -> None:
        if member in self:
            del self._members[member.codec][member]
            self._listed.pop(member.codec, None)

    def parts(self, encoded: Callable[[Codec], bytes]) -> Parts:
        """Frames for everybody; ``encoded`` is asked once for each subprotocol that is spoken."""
        parts: Parts = []
        for codec, members in self._members.items():
            if members:
                listed = self._listed.get(codec)
                if listed is None:
                    listed = self._listed[codec] = list(members)
                parts.append((encoded(codec), listed))
        return parts


class _Item:
    __slots__ = ("done", "has_begun", "is_tick", "parts")

    def __init__(self, parts: Parts, is_tick: bool) -> None:
        self.parts = parts
        self.is_tick = is_tick
        self.has_begun = False
        self.done = 0
        """Members of the last part that have theirs."""


class Broadcast:
    """The queue of one topic. What is put first is written first, to every member."""

    def __init__(
        self,
        slice_sockets: int,
        queued_max: int,
        counters: Counters,
        call_soon: Callable[[Callable[[], None]], object],
    ) -> None:
        self._slice_sockets = slice_sockets
        self._queued_max = queued_max
        self._counters = counters
        self._call_soon = call_soon
        self._items: deque[_Item] = deque()
        self._is_scheduled = False

    def put(self, parts: Parts, is_tick: bool = False) -> None:
        """Write to all members named in ``parts``, soon. A tick takes the place of one still waiting."""
        if not parts:
            return
        items = self._items
        if is_tick:
            for item in [item for item in items if item.is_tick and not item.has_begun]:
                items.remove(item)
                self._counters.topic_ticks_replaced += sum(len(members) for _, members in item.parts)
        elif len(items) >= self._queued_max:
            while items:
                self._write_slice()
        items.append(_Item(parts, is_tick))
        if not self._is_scheduled:
            self._is_scheduled = True
            self._call_soon(self._run)

    def _run(self) -> None:
        self._write_slice()
        self._is_scheduled = bool(self._items)
        if self._is_scheduled:
            self._call_soon(self._run)

    def _write_slice(self) -> None:
        items = self._items
        budget = self._slice_sockets
        while items and budget > 0:
            item = items[0]
            item.has_begun = True
            frame, members = item.parts[-1]
            chunk = members[item.done : item.done + budget]
            item.done += len(chunk)
            budget -= len(chunk)
            if item.done >= len(members):
                item.done = 0
                item.parts.pop()
                if not item.parts:
                    items.popleft()
            self._write(frame, chunk, item.is_tick)

    def _write(self, frame: bytes, members: list[Membership], is_tick: bool) -> None:
        # The hot path: no call per member but the write itself.
        for member in members:
            if member.is_blocked or member.pending:
                self._write_around(member, frame, is_tick)
            else:
                try:
                    member.write(frame)
                except Exception:
                    # One socket's trouble must not keep the others from being written.
                    _log.exception("a subscriber could not be written")
                    member.outlet.abort()
        self._counters.topic_events_sent += len(members)

    def _write_around(self, member: Membership, frame: bytes, is_tick: bool) -> None:
        """To a member that cannot be written to directly."""
        if member.is_ended:
            return
        if is_tick and member.is_blocked:
            self._counters.topic_ticks_replaced += member.tick is not None
            member.tick = frame
            return
        if member.tick is not None:
            # Older than the event: it would take the reader back in time.
            self._counters.topic_ticks_replaced += 1
            member.tick = None
        member.outlet.send(frame)
