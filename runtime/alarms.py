"""Alarms: what time alone brings to an actor, told by its state and kept in memory only.

Nothing of them is stored, so nothing stored betrays when they will go off. An actor that is loaded
anew asks its state again; that somebody loads it is another matter (see ``Behavior.always_on``).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec

from runtime.activation import Activation
from runtime.clock import Clock
from runtime.command_ids import alarm_id
from runtime.identity import ActorId
from runtime.lifecycle import Phase
from runtime.stream import Deliver
from runtime.turn import encode

_PAUSE_FIRST_S = 0.002
_PAUSE_MAX_S = 5.0


class _Armed:
    __slots__ = ("handle", "id", "in_vain")

    def __init__(self) -> None:
        self.handle: asyncio.TimerHandle | None = None
        self.id = ""
        self.in_vain = 0
        """How often the alarm of this id has fired, and stands still."""


class Alarms:
    """``deliver`` gives an actor of this host the command of its alarm."""

    def __init__(self, clock: Clock, deliver: Callable[[Deliver], None]) -> None:
        self._clock = clock
        self._deliver = deliver
        self._armed: dict[ActorId, _Armed] = {}

    def arm(self, activation: Activation[Any]) -> None:
        """Ask the state when time will bring something next, and be there."""
        armed = self._armed.setdefault(activation.actor, _Armed())
        if armed.handle is not None:
            armed.handle.cancel()
            armed.handle = None
        alarm = activation.codec.behavior.alarm(activation.state)
        if alarm is None:
            return
        if alarm.id != armed.id:
            armed.id = alarm.id
            armed.in_vain = 0
        delay_s = (alarm.at_ms - self._clock.now_ms()) / 1000
        if armed.in_vain:
            # It changed nothing: it may have come too early, or cannot do its work at present.
            delay_s = max(delay_s, min(_PAUSE_FIRST_S * 2 ** min(armed.in_vain, 20), _PAUSE_MAX_S))
        request = Deliver(
            0,
            activation.actor,
            alarm_id(alarm.id),
            alarm.name,
            msgspec.Raw(encode(alarm.data)),
            activation.actor,
        )

        def fire() -> None:
            armed.handle = None
            if activation.phase is not Phase.ACTIVE:
                return
            armed.in_vain += 1
            self._deliver(request)
            if armed.handle is None and activation.phase is Phase.ACTIVE:
                self.arm(activation)

        armed.handle = asyncio.get_running_loop().call_later(max(0.0, delay_s), fire)

    def disarm(self, actor: ActorId) -> None:
        """The actor leaves, or is loaded anew. How often its alarm has rung in vain is remembered: a turn
        that fails each time must not come back at once each time."""
        armed = self._armed.get(actor)
        if armed is not None and armed.handle is not None:
            armed.handle.cancel()
            armed.handle = None
