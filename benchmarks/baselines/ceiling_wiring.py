"""An actor that does the least, and the casino's own runtime wired around it.

Owns what ``ceiling`` has instead of a game. Together with ``ceiling_casino`` it is the one place among the
benchmarks that knows the house from inside; nobody imports the two but a process started to be measured.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

import msgspec
from msgspec import Meta

from deploy.wiring import CasinoWiring
from runtime.behavior import Behavior, CommandSpec, Context, Decision, PushSpec

REPLY_BYTES = 218
"""Of an encoded spin's reply in the casino."""
EVENTS_BYTES = 347
"""Of the events in the journal's row, and of the pushes that stand beside them there: since these are told
to nobody here, the events are longer by as much, so that the row has a spin's size."""


class SpinSlots(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """As on the wire."""

    stake: Annotated[int, Meta(ge=1, le=1_000_000_000)]


class CountResult(msgspec.Struct, frozen=True, gc=False):
    count: int
    filling: str


class Counted(msgspec.Struct, frozen=True, gc=False, tag="counted"):
    count: int
    filling: str


class Counter(msgspec.Struct, gc=False):
    count: int = 0


def _filling(message: msgspec.Struct, bytes_wanted: int) -> str:
    """Makes an encoded message with a small ``count`` that long."""
    header_bytes = 2
    return "x" * (bytes_wanted - len(msgspec.msgpack.encode(message)) - header_bytes)


_REPLY_FILLING = _filling(CountResult(1_000, ""), REPLY_BYTES)
_EVENT_FILLING = _filling(Counted(1_000, ""), EVENTS_BYTES)


class Ceiling(Behavior[Counter]):
    """Counts. It passes for a session, so that sockets and routes find it."""

    kind: ClassVar[str] = "session"
    state_type = Counter
    events: Any = Counted

    @property
    def commands(self) -> Mapping[str, CommandSpec]:
        return {"spin_slots": CommandSpec("spin_slots", SpinSlots, CountResult, "Count.")}

    @property
    def pushes(self) -> Mapping[str, PushSpec]:
        return {}

    def initial(self, key: str) -> Counter:
        return Counter()

    def decide(self, state: Counter, command: Any, context: Context) -> Decision:
        count = state.count + 1
        return Decision(CountResult(count, _REPLY_FILLING), (Counted(count, _EVENT_FILLING),))

    def evolve(self, state: Counter, event: Any) -> None:
        state.count = event.count

    def view(self, state: Counter) -> Counter:
        return state


class CeilingWiring(CasinoWiring):
    """The casino's, but for the rules: no games, no tables, and nobody whom events are published to."""

    def behaviors(self) -> list[Behavior[Any]]:
        counter = Ceiling()
        counter.placement = self.session_placement_policy()
        return [counter]

    async def open_behaviors(self, host_name: str) -> list[Behavior[Any]]:
        return self.behaviors()

    def always_on(self) -> dict[str, list[str]]:
        return {}

    def services(self) -> list[str]:
        return []
