"""The way to an actor's owner, kept open while owners die and shards move.

Implements ``runtime.routing.ActorRouter`` over data streams. Retries belong here: a call keeps
its command id, so however often it is sent, it is applied once.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Protocol

import msgspec

from runtime.clock import Clock
from runtime.identity import ActorId, Packed, Placement, ShardId, is_dedicated, kind_of, shard_of
from runtime.journal import Incarnation, ShardMap
from runtime.routing import PushListener
from runtime.settings import RouterSettings
from runtime.stream import (
    Attach,
    Attached,
    Deliver,
    Detach,
    Failure,
    Lost,
    Message,
    Misrouted,
    Pushed,
    Result,
    Ticked,
    ToRouter,
)

_log = logging.getLogger(__name__)


class MapSource(Protocol):
    """Where maps come from: the coordinator, or what stands in for it."""

    async def next_map(self, after_epoch: int) -> ShardMap:
        """Wait for a map newer than ``after_epoch``. Raises ``ConnectionError`` when out of reach."""
        ...

    async def place(self, shard: ShardId) -> None:
        """Ask for an owner for a dedicated shard; a later map will have it. May be repeated."""
        ...


class RouterLink(Protocol):
    """An open, authenticated stream to one host."""

    def send(self, message: Message) -> None: ...

    def close(self) -> None: ...


class Dialer(Protocol):
    async def dial(
        self,
        address: str,
        incarnation: Incarnation,
        on_messages: Callable[[Sequence[ToRouter]], None],
        on_closed: Callable[[], None],
    ) -> RouterLink:
        """Connect and authenticate. ``on_closed`` is called once, however the stream ends.

        Raises ``ConnectionError`` when nobody answers, or when another incarnation does.
        """
        ...


class _Call(msgspec.Struct, gc=False):
    request: Deliver | Attach
    shard: ShardId
    deadline_s: float
    done: Callable[[Result | Failure | Attached], None]
    owner: Incarnation = 0


class _Route:
    """What is known of one host: its link when there is one, and who waits for it."""

    __slots__ = ("attached", "dialing", "link", "refs")

    def __init__(self) -> None:
        self.link: RouterLink | None = None
        self.dialing: asyncio.Task[None] | None = None
        self.refs: set[int] = set()
        self.attached: set[ActorId] = set()


class Router:
    """See ``runtime.routing.ActorRouter``. One per process that talks to actors."""

    def __init__(
        self,
        placements: Mapping[str, Placement],
        maps: MapSource,
        dialer: Dialer,
        clock: Clock,
        settings: RouterSettings,
        listener: PushListener | None = None,
    ) -> None:
        self._placements = placements
        self._maps = maps
        self._dialer = dialer
        self._clock = clock
        self._settings = settings
        self._listener = listener
        self._map = ShardMap(-1, {}, {})
        self._has_packed = any(isinstance(p, Packed) for p in placements.values())
        self._calls: dict[int, _Call] = {}
        self._next_ref = 1
        self._routes: dict[Incarnation, _Route] = {}
        self._parked: dict[ShardId, list[int]] = {}
        self._unparking = False
        self._placing: set[ShardId] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        self._spawn(self._follow_map())
        self._spawn(self._expire())

    async def stop(self) -> None:
        """Close every stream. Calls under way fail as unavailable."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for route in list(self._routes.values()):
            if route.link is not None:
                route.link.close()
        for ref in list(self._calls):
            self._fail(ref, "the router stopped")

    @property
    def has_map(self) -> bool:
        """Whether commands can be routed: the coordinator was heard, and packed shards have an owner."""
        return self._map.epoch >= 0 and (bool(self._map.addresses) or not self._has_packed)

    @property
    def calls_in_flight(self) -> int:
        return len(self._calls)

    def submit(
        self,
        actor: ActorId,
        command_id: str,
        name: str,
        data: bytes,
        done: Callable[[Result | Failure], None],
        sender: ActorId | None = None,
        again: bool = False,
        is_question: bool = False,
    ) -> None:
        ref = self._next_ref
        self._next_ref = ref + 1
        request = Deliver(ref, actor, command_id, name, msgspec.Raw(data), sender, again, is_question)
        self._begin(request, done)  # type: ignore[arg-type]

    def attach(self, actor: ActorId, after: int | None, done: Callable[[Attached | Failure], None]) -> None:
        ref = self._next_ref
        self._next_ref = ref + 1
        self._begin(Attach(ref, actor, after), done)  # type: ignore[arg-type]

    def detach(self, actor: ActorId) -> None:
        for route in self._routes.values():
            if actor in route.attached:
                route.attached.discard(actor)
                if route.link is not None:
                    route.link.send(Detach(actor))

    def _begin(self, request: Deliver | Attach, done: Callable[[Result | Failure | Attached], None]) -> None:
        if len(self._calls) >= self._settings.calls_in_flight_max:
            done(Failure(request.ref, "overloaded", "too many commands are under way", True))
            return
        shard = shard_of(request.actor, self._placements[kind_of(request.actor)])
        deadline_s = self._clock.monotonic() + self._settings.call_deadline_s
        call = _Call(request, shard, deadline_s, done)
        self._calls[request.ref] = call
        if shard in self._parked:
            # Behind those that wait already, so that one caller's order is kept.
            self._parked[shard].append(request.ref)
        else:
            self._send(call)

    def _send(self, call: _Call) -> None:
        """Send a call to the owner of its shard, or park it until that is possible."""
        owner = self._map.owners.get(call.shard)
        ref = call.request.ref
        if owner is None:
            if is_dedicated(call.shard) and call.shard not in self._placing:
                self._spawn(self._place(call.shard))
            self._park(call)
            return
        route = self._routes.get(owner)
        if route is None:
            route = self._routes[owner] = _Route()
        if route.link is None:
            self._parked.setdefault(call.shard, []).append(ref)
            if route.dialing is None:
                route.dialing = self._spawn(self._dial(owner, route))
            return
        if type(call.request) is Attach:
            route.attached.add(call.request.actor)
        elif call.owner:
            call.request.again = True  # type: ignore[union-attr]
        call.owner = owner
        route.refs.add(ref)
        route.link.send(call.request)

    # Answers

    def _received(self, owner: Incarnation, messages: Sequence[ToRouter]) -> None:
        route = self._routes.get(owner)
        if route is None:
            return
        calls = self._calls
        refs = route.refs
        for message in messages:
            kind = type(message)
            if kind is Pushed:
                if self._listener is not None:
                    self._listener.pushed(message)  # type: ignore[arg-type]
            elif kind is Result or kind is Failure or kind is Attached:
                ref: int = message.ref  # type: ignore[union-attr]
                refs.discard(ref)
                call = calls.pop(ref, None)
                if call is not None:
                    call.done(message)  # type: ignore[arg-type]
            elif kind is Ticked:
                if self._listener is not None:
                    self._listener.ticked(message)  # type: ignore[arg-type]
            elif kind is Misrouted:
                refs.discard(message.ref)  # type: ignore[union-attr]
                call = calls.get(message.ref)  # type: ignore[union-attr]
                if call is not None:
                    self._park(call)
            elif kind is Lost:
                self._lost(owner, message.actor)  # type: ignore[union-attr]

    def _lost(self, owner: Incarnation, actor: ActorId) -> None:
        route = self._routes.get(owner)
        if route is not None and actor in route.attached:
            route.attached.discard(actor)
            if self._listener is not None:
                self._listener.lost(actor)

    def _closed(self, owner: Incarnation) -> None:
        """A host hung up or died: whatever it has not answered is asked again."""
        route = self._routes.pop(owner, None)
        if route is None:
            return
        for ref in route.refs:
            call = self._calls.get(ref)
            if call is not None:
                self._park(call)
        for actor in list(route.attached):
            if self._listener is not None:
                self._listener.lost(actor)

    # Streams

    async def _dial(self, owner: Incarnation, route: _Route) -> None:
        address = self._map.addresses.get(owner)
        try:
            if address is None:
                raise ConnectionError("the map has no address for the owner")
            route.link = await self._dialer.dial(
                address,
                owner,
                lambda messages: self._received(owner, messages),
                lambda: self._closed(owner),
            )
        except (OSError, TimeoutError):
            if self._routes.get(owner) is route:
                del self._routes[owner]
            self._unpark_later()
            return
        finally:
            route.dialing = None
        self._unpark()

    # Waiting

    def _park(self, call: _Call) -> None:
        self._parked.setdefault(call.shard, []).append(call.request.ref)
        self._unpark_later()

    def _unpark_later(self) -> None:
        if not self._unparking:
            self._unparking = True
            asyncio.get_running_loop().call_later(self._settings.retry_delay_s, self._unpark)

    def _unpark(self) -> None:
        """Try everything parked again, oldest first."""
        self._unparking = False
        parked, self._parked = self._parked, {}
        for refs in parked.values():
            for ref in sorted(refs):
                call = self._calls.get(ref)
                if call is not None:
                    self._send(call)

    def _fail(self, ref: int, reason: str) -> None:
        call = self._calls.pop(ref, None)
        if call is not None:
            route = self._routes.get(call.owner)
            if route is not None:
                route.refs.discard(ref)
            call.done(Failure(ref, "unavailable", reason, True))

    async def _expire(self) -> None:
        """Calls are numbered in the order of their deadlines, so the oldest stand first."""
        while True:
            await asyncio.sleep(min(0.5, self._settings.call_deadline_s / 4))
            now_s = self._clock.monotonic()
            late = []
            for ref, call in self._calls.items():
                if call.deadline_s > now_s:
                    break
                late.append(ref)
            for ref in late:
                self._fail(ref, "no answer in time; ask again with the same id")

    # Maps

    async def _follow_map(self) -> None:
        while True:
            try:
                shard_map = await self._maps.next_map(self._map.epoch)
            except (OSError, TimeoutError):
                await asyncio.sleep(self._settings.retry_delay_s)
                continue
            if shard_map.epoch > self._map.epoch:
                self._map = shard_map
                for owner, route in list(self._routes.items()):
                    if owner not in shard_map.addresses and route.link is not None:
                        route.link.close()
                self._unpark()

    async def _place(self, shard: ShardId) -> None:
        self._placing.add(shard)
        try:
            await self._maps.place(shard)
        except (OSError, TimeoutError):
            await asyncio.sleep(self._settings.retry_delay_s)
        finally:
            self._placing.discard(shard)

    def _spawn(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
