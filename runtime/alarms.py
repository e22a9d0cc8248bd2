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
    __slots__ = ("handle", "in_vain", "seq")

    def __init__(self) -> None:
        self.handle: asyncio.TimerHandle | None = None
        self.seq = -1
        self.in_vain = 0
        """How often it has fired since the last turn, without causing one."""


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
        if armed.seq != activation.seq:
            armed.seq = activation.seq
            armed.in_vain = 0
        alarm = activation.codec.behavior.alarm(activation.state)
        if alarm is None:
            return
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
            seq = activation.seq
            armed.in_vain += 1
            self._deliver(request)
            if activation.phase is Phase.ACTIVE and activation.seq == seq:
                self.arm(activation)

        armed.handle = asyncio.get_running_loop().call_later(max(0.0, delay_s), fire)

    def disarm(self, actor: ActorId) -> None:
        """The actor leaves, or is loaded anew."""
        armed = self._armed.pop(actor, None)
        if armed is not None and armed.handle is not None:
            armed.handle.cancel()
