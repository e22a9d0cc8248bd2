"""An actor that asks others, and on which time works: a market stall.

A stall buys goods of another one: the question is durable and the buyer's reply waits for the
answer. Fresh goods rot when their time has come, and a bell rings for whoever listens.
"""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec

from runtime.behavior import (
    Alarm,
    Answer,
    Behavior,
    CommandSpec,
    Context,
    Decision,
    Push,
    PushSpec,
    Refusal,
    Send,
)
from runtime.errors import Rejected
from runtime.identity import actor_id


class StallState(msgspec.Struct):
    goods: int = 0
    expected: int = 0
    rots_at_ms: int | None = None
    rotten: int = 0


class Stock(msgspec.Struct):
    goods: int
    rots_at_ms: int | None = None


class Buy(msgspec.Struct):
    of: str
    goods: int


class Sell(msgspec.Struct):
    goods: int


class Rot(msgspec.Struct):
    pass


class Look(msgspec.Struct):
    pass


class Goods(msgspec.Struct):
    goods: int
    rotten: int = 0


class Ordered(msgspec.Struct, tag="ordered"):
    goods: int


class Moved(msgspec.Struct, tag="moved"):
    goods: int
    expected: int = 0
    rots_at_ms: int | None = None


class Rotted(msgspec.Struct, tag="rotted"):
    pass


def _spec(name: str, data: type[msgspec.Struct]) -> CommandSpec:
    return CommandSpec(name, data, Goods, name)


class Stall(Behavior[StallState]):
    kind = "stall"
    state_type = StallState
    events = Ordered | Moved | Rotted
    commands: ClassVar = {
        "stock": _spec("stock", Stock),
        "buy": _spec("buy", Buy),
        "sell": _spec("sell", Sell),
        "bought": _spec("bought", Answer),
        "rot": _spec("rot", Rot),
        "look": _spec("look", Look),
    }
    refuses_by_reply = False
    pushes: ClassVar = {"bell": PushSpec("bell", Goods, "")}

    def __init__(self, **attributes: Any) -> None:
        for name, value in attributes.items():
            setattr(self, name, value)

    def initial(self, key: str) -> StallState:
        return StallState()

    def decide(self, state: StallState, command: Any, context: Context) -> Decision:
        match command:
            case Stock(goods, rots_at_ms):
                return Decision(Goods(state.goods + goods), [Moved(goods, 0, rots_at_ms)])
            case Buy(of, goods):
                return Decision(
                    None,
                    [Ordered(goods)],
                    sends=[Send(actor_id("stall", of), "sell", Sell(goods), then="bought")],
                )
            case Sell(goods):
                if goods > state.goods and self.refuses_by_reply:
                    return Decision(Refusal("sold_out", "sold out"))
                if goods > state.goods:
                    raise Rejected("sold out", "sold_out")
                return Decision(Goods(goods), [Moved(-goods)])
            case Answer(_, Refusal() as refusal):
                return Decision(refusal, [Moved(0, -state.expected)])
            case Answer(reply, None):
                bought = msgspec.msgpack.decode(reply, type=Goods).goods
                return Decision(Goods(state.goods + bought), [Moved(bought, -bought)])
            case Rot() if state.rots_at_ms is not None and context.now_ms >= state.rots_at_ms:
                return Decision(Goods(0), [Rotted()])
            case Rot():
                raise Rejected("fresh still", "fresh")
            case _:
                return Decision(Goods(state.goods, state.rotten))

    def evolve(self, state: StallState, event: Any) -> None:
        match event:
            case Ordered(goods):
                state.expected += goods
            case Moved(goods, expected, rots_at_ms):
                state.goods += goods
                state.expected += expected
                state.rots_at_ms = rots_at_ms
            case Rotted():
                state.rotten += state.goods
                state.goods = 0
                state.rots_at_ms = None

    def view(self, state: StallState) -> Goods:
        return Goods(state.goods, state.rotten)

    def alarm(self, state: StallState) -> Alarm | None:
        return Alarm(state.rots_at_ms, "rot", Rot(), "rot") if state.rots_at_ms is not None else None

    def tick(self, state: StallState, now_ms: int) -> Push | None:
        return Push("bell", Goods(state.goods)) if state.goods else None
