"""Who asked for what, and what they were told: the clients' side of every promise."""

from __future__ import annotations

from runtime.activation import fingerprint_of
from runtime.identity import ActorId


class Invocation:
    """One command under one id, until it has an answer for good. Repeats are invocations of their own."""

    __slots__ = (
        "actor",
        "answer",
        "attempts",
        "client",
        "command_id",
        "data",
        "fingerprint",
        "floor",
        "issued_ms",
        "issued_s",
        "name",
        "settled",
    )

    def __init__(
        self,
        client: str,
        actor: ActorId,
        command_id: str,
        name: str,
        data: bytes,
        floor: int,
        issued_s: float,
        issued_ms: float,
    ) -> None:
        self.client = client
        self.actor = actor
        self.command_id = command_id
        self.name = name
        self.data = data
        self.fingerprint = fingerprint_of(name, data)
        self.floor = floor
        """The latest turn of the actor whose effect anybody had seen when this was asked."""
        self.issued_s = issued_s
        self.issued_ms = issued_ms
        """As a right clock on the wall showed it."""
        self.attempts = 0
        self.answer: object = None
        self.settled = False


class History:
    def __init__(self) -> None:
        self.invocations: list[Invocation] = []
        self._asked: dict[tuple[ActorId, str], Invocation] = {}

    def ask(
        self,
        client: str,
        actor: ActorId,
        command_id: str,
        name: str,
        data: bytes,
        acknowledged_seq: int,
        now: float,
        now_ms: float,
    ) -> Invocation:
        first = self._asked.get((actor, command_id))
        floor = acknowledged_seq if first is None else first.floor
        invocation = Invocation(client, actor, command_id, name, data, floor, now, now_ms)
        if first is None:
            self._asked[actor, command_id] = invocation
        self.invocations.append(invocation)
        return invocation

    def first_asked(self, actor: ActorId, command_id: str) -> Invocation | None:
        return self._asked.get((actor, command_id))

    def was_asked(self, actor: ActorId, command_id: str) -> bool:
        return (actor, command_id) in self._asked

    @property
    def open(self) -> list[Invocation]:
        return [invocation for invocation in self.invocations if not invocation.settled]
