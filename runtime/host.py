"""A host: the shards it owns and the actors resident in it.

Single-threaded on one event loop. Knows its neighbours as ports only: the journal, the router
for durable sends, the listeners that commands came from. How a command runs is ``executor``'s,
how it becomes durable ``group_commit``'s.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import Any, Protocol

import msgspec

from runtime.activation import Activation, Codec, StoredReply
from runtime.behavior import Behavior
from runtime.clock import Clock
from runtime.command_ids import GENESIS_ID, RESERVED_KINDS, reminder_id
from runtime.errors import InternalError, StaleEpoch
from runtime.executor import Executor
from runtime.group_commit import Entry, GroupCommit
from runtime.identity import ActorId, ShardId, kind_of, shard_of
from runtime.journal import Incarnation, Journal, ReminderRecord, TurnRecord
from runtime.lease import Lease
from runtime.lifecycle import Phase
from runtime.outbox import Outbox
from runtime.recall import Recall
from runtime.reminders import Reminders
from runtime.residents import Residents
from runtime.routing import ActorRouter
from runtime.settings import HostSettings
from runtime.stream import Attach, Deliver, Detach, Failure, Listener, Misrouted, Pushed
from runtime.subscriptions import Subscriptions
from runtime.ticks import Ticks
from runtime.turn import encode

_log = logging.getLogger(__name__)


class HostLink(Listener, Protocol):
    """A stream to one router, as the host sees it."""

    def close(self) -> None: ...


class Host:
    """Runs actors. ``take`` gives it shards, ``release`` takes them away without losing a turn.

    ``on_stopped`` is called once, when the host was fenced and must never speak again; ``on_empty``
    whenever the last resident actor was passivated and has left nothing to do.
    """

    def __init__(
        self,
        name: str,
        incarnation: Incarnation,
        behaviors: Iterable[Behavior[Any]],
        journal: Journal,
        lease: Lease,
        clock: Clock,
        entropy: Callable[[int], bytes],
        settings: HostSettings,
        on_stopped: Callable[[], None],
        on_empty: Callable[[], None] | None = None,
    ) -> None:
        self.name = name
        self.incarnation = incarnation
        self._codecs = {behavior.kind: Codec(behavior, settings) for behavior in behaviors}
        if not RESERVED_KINDS.isdisjoint(self._codecs):
            raise ValueError(f"a kind of actor cannot be called {' or '.join(sorted(RESERVED_KINDS))}")
        self._placements = {kind: codec.behavior.placement for kind, codec in self._codecs.items()}
        self._lease = lease
        self._clock = clock
        self._settings = settings
        self._on_stopped = on_stopped
        self._on_empty = on_empty
        self._owned: set[ShardId] = set()
        self._released: dict[ShardId, int] = {}
        self._draining: list[Activation[Any]] = []
        """Of released shards, whoever asked for it, until nothing of them is under way."""
        self._epoch = 0
        self._links: set[HostLink] = set()
        self._stopped = False
        self._logged_commands = settings.logged_commands
        # Asking the log at every turn would cost more.
        self._is_tracing = _log.isEnabledFor(logging.DEBUG)
        self._tasks: list[asyncio.Task[None]] = []
        self._journal = journal
        self.gate = GroupCommit(journal, incarnation, self, clock, settings.turns_per_commit_max)
        self._recall = Recall(
            journal, settings, lambda actor: lease.is_valid() and self.owns(actor), self._accept
        )
        self.residents = Residents(
            self._codecs, lambda: self._owned, journal, self.gate, settings, clock, self._accept
        )
        self.executor = Executor(
            self.gate,
            clock,
            entropy,
            settings,
            lease.is_valid,
            self.residents.unsound,
            self.residents.alarms.arm,
            self._recall,
        )
        self._subscriptions = Subscriptions(journal, settings, self.executor.answer, clock.now_ms)
        self.residents.ticks = Ticks(clock, self._subscriptions.of, self.executor.tell)
        self._reminders = Reminders(journal, settings, clock, self.owns, self._remind)
        self._outbox: Outbox | None = None

    def start(self, router: ActorRouter) -> None:
        """Begin to work. ``router`` carries the durable sends of this host's actors."""
        self._outbox = Outbox(router, self._journal, self.gate, self._settings, self.owns, self._accept)
        for work in (
            self.gate.run(),
            self.residents.loader.run(),
            self._recall.run(),
            self._outbox.run(),
            self._reminders.run(),
            self._lease.keep(),
            self.residents.sweep(),
        ):
            self._tasks.append(asyncio.get_running_loop().create_task(self._watch(work)))

    async def _watch(self, work: Coroutine[Any, Any, None]) -> None:
        """A host that lost one of its tasks to a defect must not linger half alive: it stops, and
        is replaced."""
        try:
            await work
        except Exception:
            _log.exception("host stops on a defect", extra={"host": self.name})
            self.fenced()

    async def stop(self) -> None:
        """End at once, as if the process had died: what is not committed is forgotten."""
        self._silence()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # What it owns

    def owns(self, actor: ActorId) -> bool:
        placement = self._placements.get(kind_of(actor))
        return placement is not None and shard_of(actor, placement) in self._owned

    @property
    def epoch(self) -> int:
        return self._epoch

    @property
    def owned(self) -> frozenset[ShardId]:
        return frozenset(self._owned)

    @property
    def resident(self) -> int:
        """Activations in memory."""
        return len(self.residents)

    @property
    def outbox_queued(self) -> int:
        return self._outbox.queued if self._outbox is not None else 0

    def describe(self) -> list[str]:
        """The actors that are always on, in a few words each."""
        return [
            a.codec.behavior.describe(a.state)
            for a in self.residents
            if a.codec.behavior.always_on and a.phase is Phase.ACTIVE
        ]

    def take(self, epoch: int, shards: Iterable[ShardId]) -> None:
        """Own exactly these shards from now on. An epoch older than the last is ignored, and what was
        released at an epoch comes back only with a later one: this may have been on its way when the
        release overtook it."""
        if self._stopped or epoch < self._epoch:
            return
        self._epoch = epoch
        self._released = {shard: at for shard, at in self._released.items() if at >= epoch}
        wanted = set(shards) - self._released.keys()
        self._drop(self._owned - wanted)
        gained = wanted - self._owned
        self._owned = wanted
        if gained and self._outbox is not None:
            self._outbox.poll_soon()
            self._reminders.poll_soon()
        self.residents.wake_always_on()

    async def release(self, epoch: int, shards: Iterable[ShardId]) -> None:
        """Give shards up in order: take no more commands for them, commit what was decided with a
        snapshot, forget. When this returns, a new owner may start. ``epoch`` is that of the map by
        which this host owns them.

        Raises:
            StaleEpoch: a later map is known here.
        """
        if epoch < self._epoch:
            raise StaleEpoch(f"{self.name} is at epoch {self._epoch}, not {epoch}")
        shards = set(shards)
        self._released |= dict.fromkeys(shards, epoch)
        leaving = shards & self._owned
        self._owned -= leaving
        for activation in self._of(shards):
            if activation.phase is Phase.DRAINING:
                continue  # released before, taken back, and not yet gone
            if activation.phase is Phase.LOADING:
                # Even one that is being loaded anew may have turns in a commit under way.
                self.residents.forget(activation)
            else:
                activation.become(Phase.DRAINING)
                self.gate.add(Entry(activation, snapshot=activation.snapshot()))
            self._draining.append(activation)
        while not self._stopped and any(self._shard(a.actor) in shards for a in self._draining):
            await asyncio.sleep(0.005)
            self._draining = [a for a in self._draining if a.phase is not Phase.GONE or a.uncommitted]
        # A coordinator that gave up waiting may have given some of them back meanwhile.
        self._drop(leaving - self._owned)

    def _of(self, shards: set[ShardId]) -> list[Activation[Any]]:
        return [a for a in self.residents if self._shard(a.actor) in shards] if shards else []

    def _shard(self, actor: ActorId) -> ShardId:
        return shard_of(actor, self._placements[kind_of(actor)])

    def _drop(self, shards: set[ShardId]) -> None:
        for activation in self._of(shards):
            self.residents.forget(activation)
        for actor in self._subscriptions.actors():
            if self._shard(actor) in shards:
                self._subscriptions.lose(actor)

    # Messages from routers

    def connected(self, link: HostLink) -> None:
        """A router is here. Whoever may not speak may not listen either."""
        if self._stopped or not self._lease.is_valid():
            link.close()
            return
        self._links.add(link)

    def disconnected(self, link: HostLink) -> None:
        self._links.discard(link)
        self._subscriptions.forget(link)

    def receive(self, link: HostLink, messages: Sequence[Deliver | Attach | Detach]) -> None:
        """Take messages of a router. Answers go to ``link`` once they are durable."""
        if self._stopped:
            return
        for message in messages:
            if type(message) is Detach:
                self._detach(message.actor, link)
            else:
                self._accept(message, link)  # type: ignore[arg-type]

    def _accept(self, request: Deliver | Attach, listener: Listener | None) -> None:
        activation = self.residents.get(request.actor)
        if activation is None:
            if not self.owns(request.actor):
                if listener is not None:
                    listener.send(Misrouted(request.ref))
                return
            activation = self.residents.activate(request.actor)
        activation.last_used_s = self._clock.monotonic()
        phase = activation.phase
        if phase is Phase.PASSIVATING:
            activation.become(Phase.ACTIVE)
        if phase is Phase.ACTIVE or phase is Phase.PASSIVATING:
            self._perform(activation, request, listener)
        elif phase is Phase.LOADING:
            self._wait(activation, request, listener)
        elif listener is not None:
            listener.send(Misrouted(request.ref))

    def _perform(
        self, activation: Activation[Any], request: Deliver | Attach, listener: Listener | None
    ) -> None:
        if activation.is_new and not (isinstance(request, Deliver) and request.sender):
            self._begin(activation)
        if type(request) is Deliver:
            self.executor.perform(activation, request, listener)
        elif listener in self._links:  # else it hung up while the actor was loading
            try:
                self._subscriptions.attach(activation, request, listener)  # type: ignore[arg-type]
            except Exception:
                _log.exception("attach failed", extra={"actor": request.actor})
                error = InternalError("the actor has no view of itself")
                listener.send(Failure(request.ref, error.code, error.message, error.retryable))

    def _begin(self, activation: Activation[Any]) -> None:
        """Give a new actor its first turn, before the request that it was woken for."""
        activation.is_new = False
        genesis = activation.codec.behavior.genesis
        if genesis is not None:
            name, data = genesis
            request = Deliver(0, activation.actor, GENESIS_ID, name, msgspec.Raw(encode(data)))
            self.executor.perform(activation, request, None)

    def _detach(self, actor: ActorId, link: HostLink) -> None:
        self._subscriptions.detach(actor, link)
        activation = self.residents.get(actor)
        if activation is not None and activation.mailbox:
            activation.mailbox = deque(
                (request, listener)
                for request, listener in activation.mailbox
                if not (listener is link and type(request) is Attach)
            )

    def _wait(
        self, activation: Activation[Any], request: Deliver | Attach, listener: Listener | None
    ) -> None:
        if activation.mailbox is None:
            activation.mailbox = deque()
        if len(activation.mailbox) < activation.codec.mailbox_messages_max:
            activation.mailbox.append((request, listener))
        elif listener is not None:
            listener.send(Failure(request.ref, "overloaded", "too many commands are waiting", True))

    def _remind(self, reminder: ReminderRecord) -> None:
        self._accept(
            Deliver(
                0,
                reminder.actor,
                reminder_id(reminder),
                reminder.command,
                msgspec.Raw(reminder.data),
                reminder.actor,
            ),
            None,
        )

    # What the gate says

    def release_entries(self, entries: list[Entry]) -> None:
        """These are durable: let out what they say, in order."""
        may_speak = self._lease.is_valid()
        if not may_speak:
            # Somebody else may answer for these actors by now. The routers ask again, there.
            self._disconnect_all()
        for entry in entries:
            activation = entry.activation
            if may_speak:
                self._let_out(entry)
            else:
                self._hold_back(entry)
            if (
                entry.request is None
                and not activation.uncommitted
                and activation.phase in (Phase.PASSIVATING, Phase.DRAINING)
            ):
                self.residents.forget(activation)
                if not len(self.residents) and not activation.reminders:
                    self._left_empty()
            elif activation.reload_due and not activation.uncommitted:
                self.residents.mend(activation)
            elif activation.known and activation.phase is Phase.ACTIVE and not activation.uncommitted:
                # Kept until here: an answer out of it may have been taken back with a turn before it.
                activation.known = None

    def _left_empty(self) -> None:
        if self._on_empty is not None and (self._outbox is None or self._outbox.is_empty):
            self._on_empty()

    def _let_out(self, entry: Entry) -> None:
        turn = entry.turn
        if turn is not None:
            if entry.request is not None and entry.request.name in self._logged_commands:
                _log.info("turn committed", extra=_of_turn(turn, entry.request.name))
            elif self._is_tracing and entry.request is not None:
                _log.debug("turn committed", extra=_of_turn(turn, entry.request.name))
            listeners = self._subscriptions.of(turn.actor)
            if listeners is not None and entry.pushes is not None:
                first_seq = turn.push_seq - entry.pushes_count + 1
                # Encoded when the turn was: on the stream it is the list that a router decodes.
                items: Any = msgspec.Raw(entry.pushes)
                pushed = Pushed(turn.actor, first_seq, turn.recorded_ms, items)
                for listener in listeners:
                    listener.send(pushed)
            if turn.sends and self._outbox is not None:
                self._outbox.enqueue(turn.sends)
            if turn.reminders_set:
                self._reminders.poll_soon()
            if entry.deferred_reply is not None:
                entry.activation.answered(turn.command_id, entry.deferred_reply)
        if entry.listener is not None and entry.answer is not None:
            entry.listener.send(entry.answer)

    def _hold_back(self, entry: Entry) -> None:
        """Whoever waits within this host has no stream whose end would tell it to ask again."""
        entry.activation.dismiss()
        if entry.listener is not None and entry.answer is not None and entry.request is not None:
            entry.listener.send(Misrouted(entry.request.ref))
        if entry.turn is not None and entry.turn.sends and self._outbox is not None:
            self._outbox.poll_soon()

    def roll_back(
        self,
        activation: Activation[Any],
        entries: list[Entry],
        known: dict[str, StoredReply] | None,
    ) -> None:
        self.residents.roll_back(activation, entries, known)

    def refuse(self, activation: Activation[Any], entry: Entry, reason: str) -> None:
        self.residents.refuse(activation, entry, reason)

    def fenced(self) -> None:
        """Another incarnation took over: never speak again."""
        if not self._stopped:
            self._silence()
            self._on_stopped()

    def _silence(self) -> None:
        self._stopped = True
        self._disconnect_all()
        for activation in self.residents:
            self.residents.rest(activation)

    def _disconnect_all(self) -> None:
        for link in list(self._links):
            link.close()


def _of_turn(turn: TurnRecord, command: str) -> dict[str, Any]:
    return {"actor": turn.actor, "command": command, "command_id": turn.command_id, "seq": turn.seq}
