"""A player without a runtime: runs turns as a host would, and checks every contract on the way."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from actors.catalogue import behaviors
from actors.crash.bets import held
from runtime.behavior import Behavior, Context, Decision, Refusal, Send
from runtime.errors import Rejected
from runtime.identity import ActorId, actor_id
from runtime.turn import decode_body, encode_body

START_MS = 1_767_225_600_000  # 2026-01-01T00:00:00Z


class Player:
    """Runs commands against one session, and keeps its ledger and its journal of encoded events."""

    def __init__(
        self,
        user_id: str = "ann",
        now_ms: int = START_MS,
        behavior: Behavior[Any] | None = None,
        ledger: Counter[str] | None = None,
        signed_in: bool = True,
    ) -> None:
        self.behavior = behavior or behaviors()["session"]
        self.ledger = Counter[str]() if ledger is None else ledger
        self.now_ms = now_ms
        self.user_id = user_id
        self.actor = actor_id(self.behavior.kind, user_id)
        self.state = self.behavior.initial(user_id)
        self.journal: list[bytes] = []
        self.turns = 0
        self._drawn = 0
        if signed_in:
            self.opened = self.sign_in()

    def sign_in(self) -> Decision:
        """The first turn, as a client's first request brings it about."""
        assert self.behavior.genesis is not None
        assert self.behavior.is_new(self.state)
        name, data = self.behavior.genesis
        return self.give(name, **msgspec.to_builtins(data))

    def entropy(self, size: int) -> bytes:
        self._drawn += 1
        return hashlib.shake_256(f"{self.user_id} {self._drawn}".encode()).digest(size)

    def give(self, name: str, /, sender: ActorId | None = None, **data: Any) -> Decision:
        """One turn; ``sender`` is whose durable send it is.

        Raises ``Rejected``, or ``msgspec.ValidationError`` when the data is refused."""
        spec = self.behavior.commands[name]
        command = msgspec.msgpack.decode(msgspec.msgpack.encode(data), type=spec.data)
        self.turns += 1
        context = Context(self.actor, f"command-{self.turns}", self.now_ms, self.entropy, sender)
        before = self.snapshot()
        try:
            decision = self.behavior.decide(self.state, command, context)
        except Rejected as rejected:
            if rejected.code not in spec.errors:
                pytest.fail(f"{name} does not declare the error {rejected.code}")
            if self.snapshot() != before:
                pytest.fail("a refused command changed the state")
            raise
        assert self.snapshot() == before, "decide changed the state"
        if decision.reply is None:
            assert [send.then in self.behavior.commands for send in decision.sends] == [True]
        elif not isinstance(decision.reply, Refusal):
            assert isinstance(decision.reply, spec.result)
        for push in decision.pushes:
            assert isinstance(push.data, self.behavior.pushes[push.type].data)
        body, reply, _ = encode_body(decision.events, decision.reply or "deferred", decision.pushes, [])
        if isinstance(decision.reply, spec.result):
            assert msgspec.msgpack.decode(reply, type=spec.result) == decision.reply
        self.journal.append(bytes(decode_body(body).events))
        self.apply(self.state, self.journal[-1])
        for transfer in decision.transfers:
            assert transfer.amount > 0
            self.ledger[transfer.debit] -= transfer.amount
            self.ledger[transfer.credit] += transfer.amount
        if decision.transfers and not isinstance(decision.reply, Refusal):
            assert decision.reply.gold_balance == self.state.gold
        assert self.ledger[f"player:{self.user_id}"] == self.state.gold + held(self.state)
        assert sum(self.ledger.values()) == 0
        return decision

    def receive(self, send: Send, sender: Player) -> Decision:
        assert send.to == self.actor
        return self.give(send.name, sender=sender.actor, **msgspec.to_builtins(send.data))

    def apply(self, state: Any, events: bytes) -> None:
        for event in msgspec.msgpack.decode(events, type=list[self.behavior.events]):
            self.behavior.evolve(state, event)

    def snapshot(self) -> bytes:
        return msgspec.msgpack.encode(self.state)

    def restored(self) -> Any:
        return msgspec.msgpack.decode(self.snapshot(), type=self.behavior.state_type)

    def replayed(self) -> Any:
        state = self.behavior.initial(self.user_id)
        for events in self.journal:
            self.apply(state, events)
        return state

    def rejection(self, name: str, **data: Any) -> Rejected:
        """The refusal of a command that must be refused."""
        with pytest.raises(Rejected) as caught:
            self.give(name, **data)
        return caught.value

    def pushed(self, decision: Decision) -> dict[str, Any]:
        """The pushes of a turn by type, as a client decodes them."""
        return {push.type: msgspec.to_builtins(push.data) for push in decision.pushes}


@pytest.fixture(scope="session")
def new_player() -> Callable[..., Player]:
    return Player


@pytest.fixture
def ann() -> Player:
    return Player("ann")
