"""The router's one listener: hands what sessions say to the fan-out, all else to the topics.

Owns only that distinction.
"""

from __future__ import annotations

from gateway.fanout import Fanout, is_session
from gateway.topics import Topics
from runtime.identity import ActorId
from runtime.stream import Pushed, Ticked


class Listeners:
    """A ``runtime.routing.PushListener``."""

    def __init__(self, fanout: Fanout, topics: Topics) -> None:
        self._fanout = fanout
        self._topics = topics

    def pushed(self, message: Pushed) -> None:
        if is_session(message.actor):
            self._fanout.pushed(message)
        else:
            self._topics.pushed(message)

    def ticked(self, message: Ticked) -> None:
        if is_session(message.actor):
            self._fanout.ticked(message)
        else:
            self._topics.ticked(message)

    def lost(self, actor: ActorId) -> None:
        if is_session(actor):
            self._fanout.lost(actor)
        else:
            self._topics.lost(actor)
