"""Who watches a public actor (a Crash table, say), and how its events reach them all.

Owns the subscriptions to topics, and one attach per topic however many watch. A subscriber gets
the topic's view, then every event after it, once and in order; after anything that breaks the
order (missed events that are no longer kept, say) everybody gets the view again. Ticks are true
for the moment only and may be left out. How frames get to sockets is ``gateway.broadcast``.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import msgspec

from gateway.broadcast import Audience, Broadcast, Membership, Outlet
from gateway.codec import Codec
from gateway.counters import Counters
from gateway.limits import Limits
from gateway.pushes import EncodedPush
from gateway.schema import EventFrame
from runtime.clock import Clock, SystemClock
from runtime.identity import ActorId, kind_of
from runtime.routing import ActorRouter
from runtime.stream import Attached, Failure, Pushed, Ticked

_log = logging.getLogger(__name__)


def _call_later(delay_s: float, call: Callable[[], None]) -> None:
    asyncio.get_running_loop().call_later(delay_s, call)


def _call_soon(call: Callable[[], None]) -> None:
    asyncio.get_running_loop().call_soon(call)


@dataclass(frozen=True)
class _Surroundings:
    """What all topics of a gateway have in common."""

    limits: Limits
    counters: Counters
    clock: Clock
    call_later: Callable[[float, Callable[[], None]], object]
    call_soon: Callable[[Callable[[], None]], object]
    draw: Callable[[], float]


class Topics:
    """The PushListener of topics. ``bind`` names the router before the first subscriber comes."""

    def __init__(
        self,
        known: Mapping[str, ActorId] | None = None,
        views: Mapping[str, str] | None = None,
        limits: Limits | None = None,
        counters: Counters | None = None,
        clock: Clock | None = None,
        call_later: Callable[[float, Callable[[], None]], object] = _call_later,
        call_soon: Callable[[Callable[[], None]], object] = _call_soon,
        draw: Callable[[], float] = random.random,
    ) -> None:
        """``known``: every topic there is, by name; no other actor is ever attached. ``views``: the
        event type that carries an actor's view, by actor kind. ``draw`` gives numbers in [0, 1) for
        the jitter of retries."""
        self.known: Mapping[str, ActorId] = dict(known or {})
        self._views = dict(views or {})
        if missing := {kind_of(actor) for actor in self.known.values()} - self._views.keys():
            raise ValueError(f"no view event is named for actors of the kinds {sorted(missing)}")
        self._surroundings = _Surroundings(
            limits or Limits(), counters or Counters(), clock or SystemClock(), call_later, call_soon, draw
        )
        self._router: ActorRouter | None = None
        self._topics: dict[ActorId, _Topic] = {}

    def bind(self, router: ActorRouter) -> None:
        """Name the router whose listener this is. Once, before the first connection."""
        self._router = router

    # Connections come and go

    def join(self, name: str, outlet: Outlet) -> Membership:
        """Send the view of a known topic, and its events from there on."""
        actor = self.known[name]
        topic = self._topics.get(actor)
        if topic is None:
            if self._router is None:
                raise RuntimeError("the topics have no router: call bind first")
            view_event = self._views[kind_of(actor)]
            topic = self._topics[actor] = _Topic(actor, view_event, self._router, self._surroundings)
        member = Membership(name, outlet)
        topic.join(member)
        return member

    def leave(self, member: Membership) -> None:
        """Send no more. Idempotent."""
        if not member.is_ended:
            member.end()
            self._topics[self.known[member.topic]].leave(member)

    # The router speaks

    def pushed(self, message: Pushed) -> None:
        """Events of one turn, after their commit."""
        topic = self._topics.get(message.actor)
        if topic is not None:
            topic.pushed(message)

    def ticked(self, message: Ticked) -> None:
        topic = self._topics.get(message.actor)
        if topic is not None:
            topic.ticked(message)

    def lost(self, actor: ActorId) -> None:
        """The actor has a new owner, or will."""
        topic = self._topics.get(actor)
        if topic is not None:
            topic.lost()


class _Topic:
    """One actor. At most one request is under way: for what its subscribers missed, or for a view.

    The position is the last push seq that was queued for ``_live``. Whatever arrives while a
    request is under way is kept until its answer has come: a view of position p, and what was kept
    beyond p, are all that a newcomer needs, however far the others have got.
    """

    def __init__(
        self, actor: ActorId, view_event: str, router: ActorRouter, surroundings: _Surroundings
    ) -> None:
        self._actor = actor
        self._view_event = view_event
        self._router = router
        self._surroundings = surroundings
        self._limits = surroundings.limits
        self._counters = surroundings.counters
        self._broadcast = Broadcast(
            self._limits.topic_slice_sockets,
            self._limits.topic_queued_events_max,
            surroundings.counters,
            surroundings.call_soon,
        )
        self._live = Audience()
        """Those who get events."""
        self._joining = Audience()
        """Those who wait for a view."""
        self._position: int | None = None
        """None: only a view can tell where the stream is."""
        self._is_broken = False
        """``_live`` may have missed something."""
        self._is_waiting = False
        """For an answer, or for a timer."""
        self._attempt = 0
        """Number of the latest request or timer; whatever belongs to earlier ones is stale."""
        self._failures = 0
        self._view_not_before = 0.0
        self._kept: list[EncodedPush] = []
        self._overflowed = False
        self._is_lingering = False

    # Who watches

    def join(self, member: Membership) -> None:
        self._joining.add(member)
        self._ask()

    def leave(self, member: Membership) -> None:
        self._live.discard(member)
        self._joining.discard(member)
        if not self._is_lingering and not self._is_watched:
            self._is_lingering = True
            self._surroundings.call_later(self._limits.topic_linger_s, self._let_go)

    @property
    def _is_watched(self) -> bool:
        return bool(self._live) or bool(self._joining)

    def _let_go(self) -> None:
        self._is_lingering = False
        if not self._is_watched:
            self._attempt += 1
            self._is_waiting = self._is_broken = False
            self._position = None
            self._failures = 0
            self._kept.clear()
            self._router.detach(self._actor)

    # What the actor says

    def pushed(self, message: Pushed) -> None:
        if not self._is_watched and not self._is_lingering:
            # An attach that was still under way when the last subscriber went.
            self._router.detach(self._actor)
            return
        if not message.items:
            return
        surroundings = self._surroundings
        self._counters.pushes_encoded += 1
        self._counters.event_lag_ms.observe(surroundings.clock.now_ms() - message.recorded_ms)
        push = EncodedPush(message, None)
        if self._is_waiting:
            if len(self._kept) < self._limits.buffered_pushes_max:
                self._kept.append(push)
            else:
                self._overflowed = True
        self._advance(push)
        self._ask()

    def ticked(self, message: Ticked) -> None:
        if self._position is None or self._is_broken:
            # What it ticks away from has not been told yet.
            return
        event = EventFrame(message.item.type, None, message.item.data, message.recorded_ms, None)
        self._broadcast.put(self._live.parts(partial(_encoded, event)), is_tick=True)

    def lost(self) -> None:
        # A request under way may be answered by the owner that was.
        self._attempt += 1
        self._is_waiting = False
        self._is_broken = bool(self._live)
        if not self._live:
            self._position = None
        if self._is_watched:
            self._counters.reattaches += 1
            self._ask()

    # Requests and their answers

    def _ask(self) -> None:
        """Ask for what is needed, unless nothing is, or a request is under way."""
        if self._is_waiting or not (self._is_broken or self._joining):
            return
        after = self._position if self._is_broken else None
        if after is None:
            now = self._surroundings.clock.monotonic()
            if now < self._view_not_before:
                self._wait(self._view_not_before - now)
                return
            self._view_not_before = now + self._limits.topic_view_interval_s
        self._attempt += 1
        self._is_waiting = True
        # What arrived before the request is in its answer.
        self._kept.clear()
        self._overflowed = False
        self._counters.topic_attaches += 1
        self._router.attach(self._actor, after, partial(self._answered, self._attempt))

    def _wait(self, delay_s: float) -> None:
        self._attempt += 1
        self._is_waiting = True
        self._surroundings.call_later(delay_s, partial(self._waited, self._attempt))

    def _waited(self, attempt: int) -> None:
        if attempt == self._attempt:
            self._is_waiting = False
            self._ask()

    def _answered(self, attempt: int, answer: Attached | Failure) -> None:
        if attempt != self._attempt:
            return
        self._is_waiting = False
        if isinstance(answer, Failure):
            self._failed(answer)
            return
        if answer.view is not None:
            self._take_view(answer.view, answer)
        elif self._is_broken and self._position is not None:
            self._take_backlog(answer)
        else:
            self._failed(Failure(0, "internal", "neither a view nor a position to go on from", False))
            return
        self._failures = 0
        self._kept.clear()
        self._ask()

    def _failed(self, failure: Failure) -> None:
        """Try again for as long as anybody waits: a topic that is away must not cost its
        subscribers their connection, and one request per topic costs nothing."""
        limits = self._limits
        self._failures += 1
        if self._failures == limits.attach_attempts_max:
            _log.warning("a topic is out of reach", extra={"actor": self._actor, "code": failure.code})
        exponent = min(self._failures - 1, 30)
        backoff = min(limits.attach_backoff_s * 2**exponent, limits.attach_backoff_max_s)
        self._wait(backoff * (0.5 + self._surroundings.draw()))

    def _take_view(self, view: bytes, answer: Attached) -> None:
        event = EventFrame(self._view_event, None, msgspec.Raw(view), answer.recorded_ms, None)
        joined, self._joining = self._joining, Audience()
        if self._leads_on_from(answer.position):
            self._broadcast.put(joined.parts(partial(_encoded, event)))
            reached = answer.position
            for push in self._kept:
                if push.last_seq > reached:
                    self._broadcast.put(joined.parts(partial(push.after, reached)))
                    reached = push.last_seq
            self._admit(joined)
        else:
            self._admit(joined)
            self._position = answer.position
            self._broadcast.put(self._live.parts(partial(_encoded, event)))
            self._mended()

    def _leads_on_from(self, position: int) -> bool:
        """Whether ``_live`` has missed nothing, and a newcomer at ``position`` can be brought level."""
        if self._position is None or self._is_broken or position > self._position:
            return False
        for push in self._kept:
            if push.first_seq <= position + 1:
                position = max(position, push.last_seq)
        return position >= self._position

    def _take_backlog(self, answer: Attached) -> None:
        for message in answer.backlog:
            self._advance(EncodedPush(message, None))
        if self._position is None or self._position < answer.position:
            # It has a hole: only a view helps.
            self._position = None
        else:
            self._mended()

    def _mended(self) -> None:
        """``_live`` is level with the answer; go on from there."""
        self._is_broken = False
        for push in self._kept:
            self._advance(push)
        if self._overflowed:
            self._is_broken = bool(self._live)

    def _admit(self, joined: Audience) -> None:
        for member in joined:
            self._live.add(member)

    def _advance(self, push: EncodedPush) -> None:
        """Queue the events that are new. What cannot follow yet breaks the stream."""
        position = self._position
        if position is None or push.last_seq <= position:
            return
        if push.first_seq > position + 1:
            if self._live:
                self._is_broken = True
            else:
                self._position = None
            return
        self._position = push.last_seq
        self._broadcast.put(self._live.parts(partial(push.after, position)))


def _encoded(event: EventFrame, codec: Codec) -> bytes:
    return codec.event(event)
