"""Sessions to the fan-out, everything else to the topics."""

from __future__ import annotations

from typing import Any, cast

from gateway.fanout import Fanout
from gateway.listeners import Listeners
from gateway.topics import Topics
from runtime.identity import ActorId
from runtime.journal import PushRecord
from runtime.stream import Pushed, Ticked
from tests.unit.gateway.fakes import raw


class Heard:
    def __init__(self) -> None:
        self.actors: list[tuple[str, str]] = []

    def pushed(self, message: Pushed) -> None:
        self.actors.append(("pushed", message.actor))

    def ticked(self, message: Ticked) -> None:
        self.actors.append(("ticked", message.actor))

    def lost(self, actor: ActorId) -> None:
        self.actors.append(("lost", actor))


def test_by_kind_of_actor() -> None:
    fanout, topics = Heard(), Heard()
    listeners = Listeners(cast(Fanout, fanout), cast(Topics, topics))
    for actor in (ActorId("session/u_ann"), ActorId("crash/main"), ActorId("sessions/x")):
        listeners.pushed(Pushed(actor, 1, 0, []))
        listeners.ticked(Ticked(actor, 0, PushRecord("tick", raw({}))))
        listeners.lost(actor)

    def all_of(*actors: str) -> list[Any]:
        return [(event, actor) for actor in actors for event in ("pushed", "ticked", "lost")]

    assert fanout.actors == all_of("session/u_ann")
    assert topics.actors == all_of("crash/main", "sessions/x")


def test_a_tick_of_a_session_is_nothing() -> None:
    Listeners(Fanout(), Topics()).ticked(Ticked(ActorId("session/u_ann"), 0, PushRecord("tick", raw({}))))
