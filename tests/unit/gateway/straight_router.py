"""Real sessions without a runtime: each command is decided and answered at once, and pushed to nobody.

What the runtime promises about command ids is kept: a repeat gets the first answer, other content under
the same id is refused, a refusal is not remembered.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

import msgspec

from actors.catalogue import behaviors
from actors.crash.broadcast import CrashFairness, CrashHistory, CrashRound
from runtime.activation import fingerprint_of
from runtime.behavior import Context, Refusal
from runtime.clock import Clock, SystemClock
from runtime.errors import CommandError
from runtime.identity import ActorId, key_of, kind_of
from runtime.stream import Failure, Result

_encode = msgspec.msgpack.encode
ROUNDS = [CrashRound(100 - n, "ab" * 32, 1.73, "crashed", 1.73, 1_000, 2, 30, 0) for n in range(100)]
TABLE_ANSWERS = {
    "get_crash_history": CrashHistory("main", ROUNDS),
    "get_crash_fairness": CrashFairness("main", "ab" * 32, "cd", "block 1", 1, 1000, 7, 993, "ef"),
}


class StraightRouter:
    """``submitted`` has ``(actor, command id, name, data)`` of every command."""

    def __init__(self, clock: Clock | None = None) -> None:
        self.behavior = behaviors()["session"]
        self.clock = clock or SystemClock()
        self.states: dict[ActorId, Any] = {}
        self.replies: dict[tuple[ActorId, str], tuple[int, Result]] = {}
        self.submitted: list[tuple[ActorId, str, str, bytes]] = []
        self.pushed: list[tuple[ActorId, str]] = []

    def submit(
        self,
        actor: ActorId,
        command_id: str,
        name: str,
        data: bytes,
        done: Callable[[Result | Failure], None],
        sender: ActorId | None = None,
        again: bool = False,
    ) -> None:
        self.submitted.append((actor, command_id, name, data))
        if kind_of(actor) != "session":
            done(Result(0, msgspec.Raw(_encode(TABLE_ANSWERS[name]))))
            return
        try:
            done(self._answer(actor, command_id, name, data))
        except CommandError as error:
            done(Failure(0, error.code, error.message, error.retryable))

    def state(self, user_id: str) -> Any:
        actor = ActorId(f"session/{user_id}")
        if actor not in self.states:
            self.states[actor] = self.behavior.initial(user_id)
            assert self.behavior.genesis is not None
            name, opening = self.behavior.genesis
            self._turn(actor, "genesis", name, _encode(opening))
        return self.states[actor]

    def _answer(self, actor: ActorId, command_id: str, name: str, data: bytes) -> Result | Failure:
        self.state(key_of(actor))
        fingerprint = fingerprint_of(name, data)
        known = self.replies.get((actor, command_id))
        if known is not None:
            if known[0] != fingerprint:
                return Failure(0, "id_reused", "used for another command", False)
            return known[1]
        answer, has_events = self._turn(actor, command_id, name, data)
        if has_events and isinstance(answer, Result):
            self.replies[actor, command_id] = (fingerprint, answer)
        return answer

    def _turn(self, actor: ActorId, command_id: str, name: str, data: bytes) -> tuple[Result | Failure, bool]:
        command = msgspec.msgpack.decode(data, type=self.behavior.commands[name].data)
        context = Context(actor, command_id, self.clock.now_ms(), secrets.token_bytes)
        decision = self.behavior.decide(self.states[actor], command, context)
        if decision.reply is None or isinstance(decision.reply, Refusal):
            # There is no table behind this, and so it happens to take no bets.
            return Failure(0, "betting_closed", "There is no table.", False), False
        for event in decision.events:
            self.behavior.evolve(self.states[actor], event)
        self.pushed += [(actor, push.type) for push in decision.pushes]
        return Result(0, msgspec.Raw(_encode(decision.reply))), bool(decision.events)

    def attach(self, *_: Any) -> None:
        raise NotImplementedError

    def detach(self, *_: Any) -> None:
        raise NotImplementedError
