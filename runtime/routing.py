"""From an actor's address to its owner: what a gateway, or a host with a durable send, talks to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from runtime.identity import ActorId
from runtime.stream import Attached, Failure, Pushed, Result, Ticked


class PushListener(Protocol):
    """Receives what attached actors say. Called on the event loop; must not block."""

    def pushed(self, message: Pushed) -> None:
        """Events of one turn, after their commit. In order per actor, until ``lost``."""
        ...

    def ticked(self, message: Ticked) -> None:
        """Something volatile, which may be left out for a reader that is slow."""
        ...

    def lost(self, actor: ActorId) -> None:
        """The actor's owner changed: attach again, with the last push seq seen."""
        ...


class ActorRouter(Protocol):
    """Delivers commands to actors, wherever they live. All calls return at once.

    A command is retried under its own id while owners die and move, until it is answered or its
    deadline passes; then it fails as ``unavailable``, which says nothing about whether it was
    applied: asking again with the same id tells.
    """

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
        """Deliver a command; ``data`` is its MessagePack map. ``done`` is called exactly once.

        ``sender`` marks a durable send between actors; a gateway never sets it. ``again`` says that
        it may have been delivered before, ``is_question`` that its sender acts on what it comes to.
        """
        ...

    def attach(self, actor: ActorId, after: int | None, done: Callable[[Attached | Failure], None]) -> None:
        """Subscribe to an actor's pushes. ``done`` is called exactly once, with the events after
        push seq ``after``, or with the view. Pushes of the actor may reach the listener before
        ``done`` is called: those with a seq beyond ``Attached.position`` are not in it."""
        ...

    def detach(self, actor: ActorId) -> None:
        """No connection of this router wants the actor's pushes any more."""
        ...
