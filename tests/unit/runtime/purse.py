"""The smallest actor that uses everything the runtime offers: a purse of gold."""

from __future__ import annotations

from typing import Any, ClassVar

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


class PurseState(msgspec.Struct):
    gold: int = 0
    rings: int = 0


class Add(msgspec.Struct):
    amount: int


class Pay(msgspec.Struct):
    to: str
    amount: int


class Receive(msgspec.Struct):
    amount: int
    escrow: str


class Alarm(msgspec.Struct):
    due_ms: int | None


class Nothing(msgspec.Struct):
    pass


class Balance(msgspec.Struct):
    gold: int
    rings: int = 0


class Changed(msgspec.Struct, tag="changed"):
    gold: int


class Rang(msgspec.Struct, tag="rang"):
    pass


class AlarmSet(msgspec.Struct, tag="alarm_set"):
    due_ms: int | None


def _spec(name: str, data: type[msgspec.Struct]) -> CommandSpec:
    return CommandSpec(name, data, Balance, name)


class Purse(Behavior[PurseState]):
    kind = "purse"
    state_type = PurseState
    events = Changed | Rang | AlarmSet

    unlucky: frozenset[int] = frozenset()
    """Balances at which applying an event fails."""

    def __init__(self, **attributes: Any) -> None:
        for name, value in attributes.items():
            setattr(self, name, value)

    commands: ClassVar = {
        "add": _spec("add", Add),
        "pay": _spec("pay", Pay),
        "receive": _spec("receive", Receive),
        "read": _spec("read", Nothing),
        "alarm": _spec("alarm", Alarm),
        "ring": _spec("ring", Nothing),
        "overdraw": _spec("overdraw", Add),
        "break": _spec("break", Nothing),
    }
    pushes: ClassVar = {"changed": PushSpec("changed", Balance, "")}

    def initial(self, key: str) -> PurseState:
        return PurseState()

    def _changed(self, gold: int, **effects: Any) -> Decision:
        return Decision(Balance(gold), [Changed(gold)], pushes=[Push("changed", Balance(gold))], **effects)

    def decide(self, state: PurseState, command: Any, context: Context) -> Decision:
        account = f"player:{context.actor}"
        match command:
            case Add(amount) if context.command_id.startswith("overdraw"):
                # A defective rule: it moves gold that the ledger does not have.
                return self._changed(
                    state.gold + amount, transfers=[Transfer(account, "house:x", amount, "overdraw")]
                )
            case Add(amount):
                if amount <= 0:
                    raise Rejected("amount must be positive", "bad_amount")
                return self._changed(
                    state.gold + amount, transfers=[Transfer("faucet:x", account, amount, "add")]
                )
            case Pay(to, amount):
                if amount > state.gold:
                    raise Rejected("not enough gold", "insufficient_funds")
                escrow = f"escrow:{context.actor}:{context.command_id}"
                return self._changed(
                    state.gold - amount,
                    transfers=[Transfer(account, escrow, amount, "pay")],
                    sends=[Send(actor_id("purse", to), "receive", Receive(amount, escrow))],
                )
            case Receive(amount, escrow):
                return self._changed(
                    state.gold + amount, transfers=[Transfer(escrow, account, amount, "receive")]
                )
            case Alarm(due_ms):
                return Decision(
                    Balance(state.gold),
                    [AlarmSet(due_ms)],
                    reminders=[Remind("alarm", due_ms, "ring", Nothing())],
                )
            case Nothing() if context.command_id.startswith("break"):
                raise RuntimeError("a defect in a rule")
            case Nothing() if context.sender is not None:
                return Decision(Balance(state.gold), [Rang()])
            case _:
                return Decision(Balance(state.gold, state.rings))

    def evolve(self, state: PurseState, event: Any) -> None:
        match event:
            case Changed(gold) if gold in self.unlucky:
                state.gold = -gold
                raise RuntimeError("a defect in a rule, half way through")
            case Changed(gold):
                state.gold = gold
            case Rang():
                state.rings += 1

    def view(self, state: PurseState) -> Balance:
        return Balance(state.gold, state.rings)
