"""Who listens to which actor, and how a listener that comes back catches up.

A listener is one stream to one router, however many sockets hang on the router's side.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from runtime.activation import Activation
from runtime.errors import JournalError
from runtime.identity import ActorId
from runtime.journal import Journal
from runtime.lifecycle import Phase
from runtime.settings import HostSettings
from runtime.stream import Attach, Attached, Failure, Listener, Lost, Message
from runtime.turn import encode, pushed_by

_log = logging.getLogger(__name__)


class Subscriptions:
    """``answer`` lets a message about an actor out through the host's gate."""

    def __init__(
        self,
        journal: Journal,
        settings: HostSettings,
        answer: Callable[[Activation[Any], Listener, Message, Any], None],
        now_ms: Callable[[], int],
    ) -> None:
        self._journal = journal
        self._settings = settings
        self._answer = answer
        self._now_ms = now_ms
        self._listeners: dict[ActorId, list[Listener]] = {}
        self._actors: dict[Listener, set[ActorId]] = {}
        self._reading: set[asyncio.Task[None]] = set()
        self._readers = asyncio.Semaphore(8)

    def actors(self) -> list[ActorId]:
        return list(self._listeners)

    def of(self, actor: ActorId) -> list[Listener] | None:
        """The listeners of an actor, or None."""
        return self._listeners.get(actor)

    def attach(self, activation: Activation[Any], request: Attach, listener: Listener) -> None:
        """Subscribe, and answer with what the listener has missed.

        The subscription begins at once: pushes may overtake the answer, whose ``position`` tells
        which of them it already covers.
        """
        actor = request.actor
        listeners = self._listeners.setdefault(actor, [])
        if listener not in listeners:
            listeners.append(listener)
            self._actors.setdefault(listener, set()).add(actor)
        if request.after == activation.push_seq:
            self._answer(
                activation,
                listener,
                Attached(request.ref, actor, activation.push_seq, self._now_ms(), None, []),
                request,
            )
        elif request.after is None or request.after > activation.push_seq:
            self._answer(activation, listener, self._view(activation, request), request)
        else:
            task = asyncio.get_running_loop().create_task(
                self._catch_up(activation, request, request.after, listener)
            )
            self._reading.add(task)
            task.add_done_callback(self._reading.discard)

    def _view(self, activation: Activation[Any], request: Attach) -> Attached:
        view = encode(activation.codec.behavior.view(activation.state))
        return Attached(request.ref, request.actor, activation.push_seq, self._now_ms(), view, [])

    async def _catch_up(
        self, activation: Activation[Any], request: Attach, after: int, listener: Listener
    ) -> None:
        """Answer from the journal. Turns that are not in it yet are pushed when they are durable."""
        try:
            async with self._readers:
                missed = await self._journal.history(request.actor, after, self._settings.backfill_turns_max)
        except JournalError as error:
            self._answer(activation, listener, Failure(request.ref, "unavailable", str(error), True), request)
            return
        except Exception:
            _log.exception("backfill failed", extra={"actor": request.actor})
            listener.send(Failure(request.ref, "internal", "the missed events cannot be read", False))
            return
        if missed is None:
            if activation.phase is Phase.ACTIVE:
                self._answer(activation, listener, self._view(activation, request), request)
            else:
                listener.send(Failure(request.ref, "unavailable", "the actor is moving", True))
            return
        position = missed[-1].push_seq if missed else after
        backlog = [pushed_by(turn) for turn in missed]
        self._answer(
            activation,
            listener,
            Attached(request.ref, request.actor, position, self._now_ms(), None, backlog),
            request,
        )

    def detach(self, actor: ActorId, listener: Listener) -> None:
        listeners = self._listeners.get(actor)
        if listeners and listener in listeners:
            listeners.remove(listener)
            self._actors[listener].discard(actor)
            if not listeners:
                del self._listeners[actor]

    def forget(self, listener: Listener) -> None:
        """A listener is gone."""
        for actor in list(self._actors.get(listener, ())):
            self.detach(actor, listener)
        self._actors.pop(listener, None)

    def lose(self, actor: ActorId) -> None:
        """The actor moves away: its listeners must ask its next owner."""
        for listener in list(self._listeners.get(actor, ())):
            listener.send(Lost(actor))
            self.detach(actor, listener)
