"""An actor that makes every promise checkable: each of its turns is numbered, and says its number.

Uses all that the runtime offers: transfers, durable sends, reminders, rejections, reads, pushes.
``VaultBefore`` is the same actor one schema version ago.
"""

from __future__ import annotations

from typing import Any

import msgspec

from runtime.behavior import (
    Behavior,
    CommandSpec,
    Context,
    Decision,
    Push,
    PushSpec,
    Remind,
    Send,
    Transfer,
)
from runtime.errors import Rejected
from runtime.identity import actor_id

FAR_TOO_MUCH = 10**12
"""More than later turns of the same commit could ever put back."""


class VaultState(msgspec.Struct):
    number: int = 0
    gold: int = 0
    rings: int = 0
    payments: int = 0
    alarm_ms: int | None = None


class OldVaultState(msgspec.Struct):
    """Version 1: counted the gold that was ever put in, and called payments otherwise."""

    gold: int = 0
    turns: int = 0
    rings: int = 0
    paid: int = 0
    alarm_ms: int | None = None


class Put(msgspec.Struct):
    amount: int


class Pay(msgspec.Struct):
    to: str
    amount: int


class Receive(msgspec.Struct):
    amount: int
    escrow: str


class Alarm(msgspec.Struct):
    """``delay_ms=None`` cancels."""

    delay_ms: int | None


class Ring(msgspec.Struct):
    pass


class Look(msgspec.Struct):
    pass


class Overdraw(msgspec.Struct):
    """A defective rule: moves gold that the ledger does not have."""

    amount: int


class Seen(msgspec.Struct):
    number: int
    gold: int


class Changed(msgspec.Struct, tag="changed"):
    gold: int
    paid: bool = False


class AlarmSet(msgspec.Struct, tag="alarm_set"):
    due_ms: int | None


class Rang(msgspec.Struct, tag="rang"):
    at_ms: int


def _spec(name: str, data: type[msgspec.Struct]) -> CommandSpec:
    return CommandSpec(name, data, Seen, name)


class Vault(Behavior[VaultState]):
    """``alarm`` names one reminder, so that setting it again moves it."""

    kind = "vault"
    state_type: Any = VaultState
    schema_version = 2
    events = Changed | AlarmSet | Rang
    commands = {  # noqa: RUF012
        "put": _spec("put", Put),
        "pay": _spec("pay", Pay),
        "receive": _spec("receive", Receive),
        "alarm": _spec("alarm", Alarm),
        "ring": _spec("ring", Ring),
        "look": _spec("look", Look),
        "overdraw": _spec("overdraw", Overdraw),
    }
    pushes = {"changed": PushSpec("changed", Seen, "")}  # noqa: RUF012

    def initial(self, key: str) -> Any:
        return self.state_type()

    def number(self, state: Any) -> int:
        return state.number

    def _changed(self, state: Any, gold: int, paid: bool = False, **effects: Any) -> Decision:
        seen = Seen(self.number(state) + 1, gold)
        return Decision(seen, [Changed(gold, paid)], pushes=[Push("changed", seen)], **effects)

    def decide(self, state: Any, command: Any, context: Context) -> Decision:
        account = f"player:{context.actor}"
        number, gold = self.number(state), state.gold
        match command:
            case Put(amount):
                if amount <= 0:
                    raise Rejected(f"{number} {gold}", "bad_amount")
                return self._changed(
                    state, gold + amount, transfers=[Transfer("faucet:x", account, amount, "put")]
                )
            case Pay(to, amount):
                if amount > gold:
                    raise Rejected(f"{number} {gold}", "insufficient_funds")
                escrow = f"escrow:{context.actor}:{number}"
                return self._changed(
                    state,
                    gold - amount,
                    True,
                    transfers=[Transfer(account, escrow, amount, "pay")],
                    sends=[Send(actor_id("vault", to), "receive", Receive(amount, escrow))],
                )
            case Receive(amount, escrow):
                return self._changed(
                    state, gold + amount, transfers=[Transfer(escrow, account, amount, "receive")]
                )
            case Overdraw(amount):
                return self._changed(
                    state,
                    gold + amount,
                    transfers=[Transfer(account, "house:x", FAR_TOO_MUCH + amount, "overdraw")],
                )
            case Alarm(delay_ms):
                due_ms = None if delay_ms is None else context.now_ms + delay_ms
                return Decision(
                    Seen(number + 1, gold),
                    [AlarmSet(due_ms)],
                    reminders=[Remind("alarm", due_ms, "ring", Ring())],
                )
            case Ring():
                return Decision(Seen(number + 1, gold), [Rang(context.now_ms)])
            case _:
                return Decision(Seen(number, gold))

    def evolve(self, state: Any, event: Any) -> None:
        state.number += 1
        match event:
            case Changed(gold, paid):
                state.gold = gold
                state.payments += paid
            case AlarmSet(due_ms):
                state.alarm_ms = due_ms
            case Rang():
                state.rings += 1
                state.alarm_ms = None

    def view(self, state: Any) -> Seen:
        return Seen(self.number(state), state.gold)

    def upgrade(self, version: int, state: bytes) -> Any:
        if version != 1:
            return super().upgrade(version, state)
        old = msgspec.msgpack.decode(state, type=OldVaultState)
        return VaultState(old.turns, old.gold, old.rings, old.paid, old.alarm_ms)


class VaultBefore(Vault):
    """What ran before the release."""

    state_type: Any = OldVaultState
    schema_version = 1

    def number(self, state: Any) -> int:
        return state.turns

    def evolve(self, state: Any, event: Any) -> None:
        state.turns += 1
        match event:
            case Changed(gold, paid):
                state.gold = gold
                state.paid += paid
            case AlarmSet(due_ms):
                state.alarm_ms = due_ms
            case Rang():
                state.rings += 1
                state.alarm_ms = None

    def upgrade(self, version: int, state: bytes) -> Any:
        raise ValueError("a snapshot from the future")
