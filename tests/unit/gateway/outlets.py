"""Sockets for the tests of topics: they note what is written, and a test decides when they are slow."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from gateway.broadcast import Membership
from gateway.codec import MESSAGEPACK, Codec
from tests.unit.gateway.fakes import messages_in


class FakeOutlet:
    """Frames go to ``frames`` at once, or wait in ``pending`` until ``flush``."""

    def __init__(self, codec: Codec = MESSAGEPACK) -> None:
        self.codec = codec
        self.pending: list[bytes] = []
        self.frames: list[bytes] = []
        self.fails = False
        self.is_aborted = False

    def write(self, frames: bytes) -> None:
        assert not self.pending, "written ahead of what was sent before"
        if self.fails:
            raise ValueError
        self.frames.append(frames)

    def send(self, frames: bytes) -> None:
        self.pending.append(frames)

    def flush(self) -> None:
        self.frames += self.pending
        self.pending.clear()

    def abort(self) -> None:
        self.is_aborted = True

    @property
    def heard(self) -> list[Any]:
        """Everything that was sent or written, as messages."""
        self.flush()
        return [message for frames in self.frames for message in messages_in(frames)]


class Turns:
    """Stands in for ``call_soon``: each call of ``turn`` is one turn of the loop."""

    def __init__(self) -> None:
        self.calls: deque[Callable[[], None]] = deque()

    def __call__(self, call: Callable[[], None]) -> None:
        self.calls.append(call)

    def turn(self) -> None:
        for _ in range(len(self.calls)):
            self.calls.popleft()()

    def settle(self) -> None:
        while self.calls:
            self.turn()


def member_of(outlet: FakeOutlet, topic: str = "crash/main") -> Membership:
    return Membership(topic, outlet)
