"""Who receives a session's events: every connection of its user, each from its own position.

Owns the positions and the attaching. Every connection gets every event once and in order; what
went missing on the way (a gap, an owner that changed) is fetched again from the position of that
connection. It must not touch sockets.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from functools import partial
from typing import Protocol

import msgspec

from gateway.codec import Codec
from gateway.counters import Counters
from gateway.limits import Limits
from gateway.pushes import EncodedPush
from gateway.schema import CLOSE_REPLACED, INITIAL_STATE, EventFrame
from runtime.clock import Clock, SystemClock
from runtime.identity import ActorId, actor_id, key_of
from runtime.routing import ActorRouter
from runtime.stream import Attached, Failure, Pushed, Ticked

_SESSION = "session"
_PREFIX = f"{_SESSION}/"


def session_of(user_id: str) -> ActorId:
    """The actor that owns what a user has."""
    return actor_id(_SESSION, user_id)


def is_session(actor: ActorId) -> bool:
    return actor.startswith(_PREFIX)


class Subscriber(Protocol):
    """A connection, as the fan-out sees it. All return at once and never raise."""

    @property
    def codec(self) -> Codec: ...
    def attached(self, resumed: bool, position: int) -> None: ...
    def deliver(self, frames: bytes) -> None: ...
    def detached(self) -> None: ...
    def attach_failed(self, failure: Failure) -> None: ...
    def close(self, code: int, reason: str) -> None: ...


class Subscription:
    """One connection's place in the stream of its session."""

    __slots__ = (
        "actor",
        "attempt",
        "buffer",
        "failures",
        "is_attaching",
        "is_ended",
        "overflowed",
        "position",
        "subscriber",
        "user_id",
    )

    def __init__(self, actor: ActorId, user_id: str, after: int | None, subscriber: Subscriber) -> None:
        self.actor = actor
        self.user_id = user_id
        self.subscriber = subscriber
        self.position = after
        """Last push seq written to the connection; None before the first state."""
        self.is_attaching = True
        self.is_ended = False
        self.attempt = 0
        """Number of the latest attach; answers to earlier ones are stale."""
        self.failures = 0
        self.buffer: list[EncodedPush] = []
        """Arrived while the attach is on its way, in order."""
        self.overflowed = False


def _call_later(delay_s: float, call: Callable[[], None]) -> None:
    asyncio.get_running_loop().call_later(delay_s, call)


class Fanout:
    """The PushListener of sessions. Build it, give it to the router's listener, then ``bind``."""

    def __init__(
        self,
        limits: Limits | None = None,
        counters: Counters | None = None,
        clock: Clock | None = None,
        call_later: Callable[[float, Callable[[], None]], object] = _call_later,
        draw: Callable[[], float] = random.random,
    ) -> None:
        """``draw`` gives numbers in [0, 1) for the jitter of retries."""
        self._limits = limits or Limits()
        self.counters = counters or Counters()
        self._clock = clock or SystemClock()
        self._call_later = call_later
        self._draw = draw
        self._router: ActorRouter | None = None
        self._subscriptions: dict[ActorId, list[Subscription]] = {}

    def bind(self, router: ActorRouter) -> None:
        """Name the router whose listener this is. Once, before the first connection."""
        self._router = router

    @property
    def router(self) -> ActorRouter:
        if self._router is None:
            raise RuntimeError("the fan-out has no router: call bind first")
        return self._router

    # Connections come and go

    def subscribe(self, user_id: str, after: int | None, subscriber: Subscriber) -> Subscription:
        """Attach a connection; ``after`` is the last seq its client has seen."""
        actor = session_of(user_id)
        subscription = Subscription(actor, user_id, after, subscriber)
        subscriptions = self._subscriptions.setdefault(actor, [])
        subscriptions.append(subscription)
        if len(subscriptions) > self._limits.connections_per_user_max:
            oldest = subscriptions[0]
            self.unsubscribe(oldest)
            oldest.subscriber.close(CLOSE_REPLACED, "too many connections of this user")
        self._attach(subscription)
        return subscription

    def unsubscribe(self, subscription: Subscription) -> None:
        """The connection is gone. Idempotent."""
        if subscription.is_ended:
            return
        subscription.is_ended = True
        subscription.buffer.clear()
        subscriptions = self._subscriptions[subscription.actor]
        subscriptions.remove(subscription)
        if not subscriptions:
            del self._subscriptions[subscription.actor]
            self.router.detach(subscription.actor)

    # The router speaks

    def pushed(self, message: Pushed) -> None:
        """Events of one turn, after their commit."""
        subscriptions = self._subscriptions.get(message.actor)
        if subscriptions is None:
            # An attach that was still under way when its last connection went.
            self.router.detach(message.actor)
            return
        if not message.items:
            return
        self.counters.pushes_encoded += 1
        self.counters.event_lag_ms.observe(self._clock.now_ms() - message.recorded_ms)
        push = EncodedPush(message, key_of(message.actor))
        for subscription in tuple(subscriptions):
            if subscription.is_attaching:
                self._buffer(subscription, push)
            else:
                self._deliver(subscription, push)

    def ticked(self, message: Ticked) -> None:
        """Sessions have none."""

    def lost(self, actor: ActorId) -> None:
        """The session has a new owner, or will: every connection attaches again from its position."""
        for subscription in tuple(self._subscriptions.get(actor, ())):
            self._attach_again(subscription)

    # One subscription

    def _attach(self, subscription: Subscription) -> None:
        subscription.attempt += 1
        subscription.is_attaching = True
        subscription.overflowed = False
        # What the answer will not contain arrives after this call.
        subscription.buffer.clear()
        done = partial(self._answered, subscription, subscription.attempt)
        self.router.attach(subscription.actor, subscription.position, done)

    def _attach_again(self, subscription: Subscription) -> None:
        if subscription.is_ended:
            return
        self.counters.reattaches += 1
        subscription.subscriber.detached()
        self._attach(subscription)

    def _answered(self, subscription: Subscription, attempt: int, answer: Attached | Failure) -> None:
        if subscription.is_ended or subscription.attempt != attempt:
            return
        if isinstance(answer, Failure):
            self._attach_failed(subscription, attempt, answer)
            return
        subscription.failures = 0
        frames = self._caught_up(subscription, answer)
        if frames is None:
            if subscription.position is None:
                defect = Failure(0, "internal", "the session's state could not be read", False)
                subscription.subscriber.attach_failed(defect)
                return
            # The client claims a future the session does not have, or the backlog has a hole.
            subscription.position = None
            self._attach(subscription)
            return
        subscription.is_attaching = False
        subscription.subscriber.attached(answer.view is None, answer.position)
        if frames:
            subscription.subscriber.deliver(frames)
        waiting, subscription.buffer = subscription.buffer, []
        for push in waiting:
            if subscription.is_attaching or subscription.is_ended:
                return
            self._deliver(subscription, push)
        if subscription.overflowed and not subscription.is_attaching:
            self._attach_again(subscription)

    def _attach_failed(self, subscription: Subscription, attempt: int, failure: Failure) -> None:
        subscription.failures += 1
        limits = self._limits
        if not failure.retryable or subscription.failures >= limits.attach_attempts_max:
            subscription.subscriber.attach_failed(failure)
            return
        backoff = limits.attach_backoff_s * 2 ** (subscription.failures - 1)
        delay = min(backoff, limits.attach_backoff_max_s) * (0.5 + self._draw())
        self._call_later(delay, partial(self._retry, subscription, attempt))

    def _retry(self, subscription: Subscription, attempt: int) -> None:
        if not subscription.is_ended and subscription.attempt == attempt:
            self._attach(subscription)

    def _caught_up(self, subscription: Subscription, answer: Attached) -> bytes | None:
        """Advance to the answer's position. Frames to write, or None when it does not lead there."""
        codec = subscription.subscriber.codec
        if answer.view is not None:
            subscription.position = answer.position
            view = msgspec.Raw(answer.view)
            state = EventFrame(INITIAL_STATE, subscription.user_id, view, answer.recorded_ms, answer.position)
            return codec.event(state)
        position = subscription.position
        if position is None:
            return None
        frames: list[bytes] = []
        for message in answer.backlog:
            push = EncodedPush(message, subscription.user_id)
            if push.first_seq > position + 1:
                return None
            if push.last_seq > position:
                frames.append(push.after(position, codec))
                self.counters.events_sent += push.last_seq - position
                position = push.last_seq
        if position != answer.position:
            return None
        subscription.position = position
        return b"".join(frames)

    def _buffer(self, subscription: Subscription, push: EncodedPush) -> None:
        if len(subscription.buffer) < self._limits.buffered_pushes_max and not subscription.overflowed:
            subscription.buffer.append(push)
        else:
            subscription.overflowed = True

    def _deliver(self, subscription: Subscription, push: EncodedPush) -> None:
        position = subscription.position
        assert position is not None
        last_seq = push.last_seq
        if last_seq <= position:
            return
        if push.first_seq > position + 1:
            self._attach_again(subscription)
            return
        subscription.position = last_seq
        self.counters.events_sent += last_seq - position
        subscription.subscriber.deliver(push.after(position, subscription.subscriber.codec))
