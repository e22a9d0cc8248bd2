"""The actors in a host's memory: how they get there, rest, are loaded anew, and leave.

Knows nothing of streams, nor of what a command does. A request for an actor that is not ready waits
in the actor's mailbox, and comes back through ``accept``.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from runtime.activation import Activation, Codec, StoredReply
from runtime.alarms import Alarms
from runtime.clock import Clock
from runtime.errors import InternalError
from runtime.group_commit import Entry, GroupCommit
from runtime.identity import ActorId, ShardId, actor_id, kind_of
from runtime.journal import Journal, Recovered
from runtime.lifecycle import Phase
from runtime.loader import Loader
from runtime.settings import HostSettings
from runtime.stream import Failure, Listener, Misrouted
from runtime.ticks import Ticks

_log = logging.getLogger(__name__)

_REPEAT_PENALTY_S = 0.05
_REPEAT_PENALTY_MAX_S = 2.0


class Residents:
    """``owned`` are the shards of the host, as they are at any time."""

    def __init__(
        self,
        codecs: Mapping[str, Codec[Any]],
        owned: Callable[[], Iterable[ShardId]],
        journal: Journal,
        gate: GroupCommit,
        settings: HostSettings,
        clock: Clock,
        accept: Callable[[Any, Listener | None], None],
    ) -> None:
        self._codecs = codecs
        self._owned = owned
        self._gate = gate
        self._settings = settings
        self._clock = clock
        self._accept = accept
        self._activations: dict[ActorId, Activation[Any]] = {}
        self.get = self._activations.get
        self.loader = Loader(journal, settings, clock, self.recovered, self._load_failed)
        self.alarms = Alarms(clock, lambda request: accept(request, None))
        self.ticks: Ticks | None = None
        """Set by the host, before anything is loaded."""

    def __len__(self) -> int:
        return len(self._activations)

    def __iter__(self) -> Iterator[Activation[Any]]:
        return iter(list(self._activations.values()))

    # In

    def activate(self, actor: ActorId) -> Activation[Any]:
        """Begin to load an actor that is not here."""
        activation = Activation(actor, self._codecs[kind_of(actor)], self._clock.monotonic())
        self._activations[actor] = activation
        self.loader.want(activation)
        return activation

    def wake_always_on(self) -> None:
        """Load the actors that wait for nobody's request."""
        for shard in self._owned():
            kind, at, key = shard.partition("@")
            if at and self._codecs[kind].behavior.always_on:
                actor = actor_id(kind, key)
                if actor not in self._activations:
                    self.activate(actor)

    def recovered(self, activation: Activation[Any], recovered: Recovered) -> None:
        """What the journal knows of an actor is here: let it work."""
        activation.recover(recovered, self._settings.replies_kept_max)
        activation.become(Phase.ACTIVE)
        waiting, activation.mailbox = activation.mailbox, None
        for request, listener in waiting or ():
            self._accept(request, listener)
        if not activation.uncommitted:
            activation.known = None
        if activation.phase is Phase.ACTIVE:
            if activation.codec.has_alarms:
                self.alarms.arm(activation)
            if activation.codec.behavior.tick_interval_ms and self.ticks is not None:
                self.ticks.start(activation)

    def _load_failed(self, activation: Activation[Any]) -> None:
        activation.become(Phase.GONE)
        del self._activations[activation.actor]
        for request, listener in activation.mailbox or ():
            if listener is not None:
                listener.send(Failure(request.ref, "unavailable", "the journal cannot be read", True))

    # Out

    def forget(self, activation: Activation[Any]) -> None:
        """At once. Who waits for it must ask its next owner."""
        activation.become(Phase.GONE)
        self.rest(activation)
        del self._activations[activation.actor]
        self._turn_away(activation)

    @staticmethod
    def _turn_away(activation: Activation[Any]) -> None:
        waiting, activation.mailbox = activation.mailbox, None
        for request, listener in waiting or ():
            if listener is not None:
                listener.send(Misrouted(request.ref))

    def rest(self, activation: Activation[Any]) -> None:
        """Nothing comes from this state any more."""
        self.alarms.disarm(activation.actor)
        if self.ticks is not None:
            self.ticks.stop(activation.actor)
        activation.dismiss()

    async def sweep(self) -> None:
        """Passivate the idle, and the longest idle early when there are too many."""
        settings = self._settings
        while True:
            await asyncio.sleep(min(1.0, settings.passivate_after_s / 2))
            self.wake_always_on()
            now_s = self._clock.monotonic()
            excess = len(self._activations) - settings.activations_max
            resting = [
                a
                for a in self._activations.values()
                if a.phase is Phase.ACTIVE
                and not (a.uncommitted or a.codec.behavior.always_on)
                and now_s - a.last_used_s > 1.0
            ]
            if excess > 0:
                resting.sort(key=lambda a: a.last_used_s)
            for position, activation in enumerate(resting):
                idle_s = now_s - activation.last_used_s
                if idle_s >= settings.passivate_after_s or position < excess:
                    self._passivate(activation)
                elif idle_s >= settings.trim_after_s:
                    activation.trim_replies(settings.replies_kept_idle)

    def _passivate(self, activation: Activation[Any]) -> None:
        """Save what the journal would otherwise have to replay; leave when that is durable."""
        activation.become(Phase.PASSIVATING)
        self._gate.add(Entry(activation, snapshot=activation.snapshot()))

    # Anew

    def roll_back(
        self,
        activation: Activation[Any],
        entries: list[Entry],
        known: dict[str, StoredReply] | None,
    ) -> None:
        """None of these turns will ever be durable: load the actor anew and run the requests
        again, in order. ``known`` are replies that the journal already holds."""
        if known:
            activation.known = (activation.known or {}) | known
            # Each repeat of an old id costs a commit its first try; the one who sends many waits.
            activation.repeats += 1
        again = deque((e.request, e.listener) for e in entries if e.request is not None)
        activation.no_longer_waits(again)
        if activation.mailbox:
            again.extend(activation.mailbox)
        activation.mailbox = again
        self._reload(activation)

    def refuse(self, activation: Activation[Any], entry: Entry, reason: str) -> None:
        """The database forbids this turn: tell the caller, load the actor anew."""
        command_id = entry.turn.command_id if entry.turn is not None else None
        _log.error(
            "turn refused", extra={"actor": activation.actor, "command_id": command_id, "reason": reason}
        )
        if entry.listener is not None and entry.request is not None:
            error = InternalError("the turn was refused; nothing was changed")
            entry.listener.send(Failure(entry.request.ref, error.code, error.message, error.retryable))
        self._reload(activation)

    def unsound(self, activation: Activation[Any]) -> None:
        """A rule failed half way through its events, and the state is of no turn at all. What was
        decided on it but is not being committed yet runs again on a state read from the journal."""
        self.roll_back(activation, self._gate.withdraw(activation.actor), None)

    def _reload(self, activation: Activation[Any]) -> None:
        if activation.phase is Phase.DRAINING:
            self.forget(activation)
        elif activation.phase is Phase.GONE:
            self._turn_away(activation)
        elif activation.phase in (Phase.ACTIVE, Phase.PASSIVATING):
            activation.become(Phase.LOADING)
            self.rest(activation)
            activation.reload_due = True
        if activation.reload_due and not activation.uncommitted:
            self.mend(activation)

    def mend(self, activation: Activation[Any]) -> None:
        """Load what is durable; nothing of this actor is on its way to the journal any more."""
        activation.reload_due = False
        if activation.repeats > 1:
            penalty_s = min(_REPEAT_PENALTY_S * 2 ** min(activation.repeats, 10), _REPEAT_PENALTY_MAX_S)
            asyncio.get_running_loop().call_later(penalty_s, self.loader.want, activation)
        else:
            self.loader.want(activation)
