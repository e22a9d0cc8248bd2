"""One connection's view of a topic: must be the table's view, and then its events, none left out.

Topic events carry no number. So a spectator keeps every place in the table's stream that what it was
told fits to; when none is left, somebody has told it something wrong.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from actors.crash.broadcast import CRASH_STATE, TICK
from runtime.identity import ActorId
from tests.simulation.shadow import encode

if TYPE_CHECKING:
    from tests.simulation.checks import Checks


class Spectator:
    def __init__(self, checks: Checks, name: str, topic: ActorId) -> None:
        self._checks = checks
        self._name = name
        self._topic = topic
        self._places: set[int] = set()

    @property
    def is_in_sync(self) -> bool:
        return len(self._checks.shadow(self._topic).pushes) in self._places

    def told(self, kind: str, data: dict[str, Any]) -> None:
        checks, shadow = self._checks, self._checks.shadow(self._topic)
        checks.checked += 1
        told = checks.tables.books[self._topic].told
        if kind == CRASH_STATE:
            found = set(shadow.views.get(encode(data), ()))
            least = min(self._places, default=0)
            if not found:
                self._wrong(f"a view that the table never had: {data}")
            elif max(found) < least:
                self._wrong(f"a view of {found}, when it had seen {least} events")
            self._places = {place for place in found if place >= least}
        elif not self._places:
            self._wrong(f"{kind} {data} before the view")
        elif kind == TICK:
            checks.tables.ticked(self._topic, kind, data)
            if not any(told[place] == (data["round"], True) for place in self._places):
                self._wrong(f"{data} while the round is not running")
        else:
            pushes = shadow.pushes
            self._places = {
                place + 1
                for place in self._places
                if place < len(pushes) and shadow.event(place + 1) == (kind, data)
            }
            if not self._places:
                self._wrong(f"{kind} {data} out of its order")

    def _wrong(self, what: str) -> None:
        self._checks.violated("topics", f"{self._name} is told of {self._topic}: {what}")
