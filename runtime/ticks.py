"""Ticks: what an actor shows of the passing of time, to whoever listens at that moment.

They are not journaled and not numbered. Like everything else they wait until what they rest on is
durable: a tick never shows what a crash could still take back.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import msgspec

from runtime.activation import Activation
from runtime.clock import Clock
from runtime.identity import ActorId
from runtime.journal import PushRecord
from runtime.lifecycle import Phase
from runtime.stream import Listener, Ticked
from runtime.turn import encode

_log = logging.getLogger(__name__)


class Ticks:
    """``listeners`` are those of an actor, or None; ``say`` lets a message out through the gate."""

    def __init__(
        self,
        clock: Clock,
        listeners: Callable[[ActorId], list[Listener] | None],
        say: Callable[[Activation[Any], Listener, Ticked], None],
    ) -> None:
        self._clock = clock
        self._listeners = listeners
        self._say = say
        self._timers: dict[ActorId, asyncio.TimerHandle] = {}

    def start(self, activation: Activation[Any]) -> None:
        """Tick from now on, until ``stop``."""
        self.stop(activation.actor)
        interval_s = activation.codec.behavior.tick_interval_ms / 1000
        if not interval_s:
            return
        loop = asyncio.get_running_loop()

        def tick(due_s: float) -> None:
            # From when it was due, not from when it came: the rate does not drift.
            due_s = max(due_s + interval_s, loop.time())
            self._timers[activation.actor] = loop.call_at(due_s, tick, due_s)
            if activation.phase is Phase.ACTIVE:
                self._tick(activation)

        self._timers[activation.actor] = loop.call_later(interval_s, tick, loop.time() + interval_s)

    def stop(self, actor: ActorId) -> None:
        timer = self._timers.pop(actor, None)
        if timer is not None:
            timer.cancel()

    def _tick(self, activation: Activation[Any]) -> None:
        listeners = self._listeners(activation.actor)
        if not listeners:
            return
        now_ms = self._clock.now_ms()
        try:
            push = activation.codec.behavior.tick(activation.state, now_ms)
        except Exception:
            _log.exception("tick failed", extra={"actor": activation.actor})
            return
        if push is None:
            return
        item = PushRecord(push.type, msgspec.Raw(encode(push.data)))
        for listener in listeners:
            self._say(activation, listener, Ticked(activation.actor, now_ms, item))
