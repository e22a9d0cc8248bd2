"""The latest turns that were published, for an operator who wants to see some."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

import msgspec

from runtime.envelope import TurnEvents
from runtime.relay import EventPublisher

_TURNS_MAX = 20
_BYTES_MAX = 16_384
"""Of one turn's events."""


class RecentTurns:
    """An ``EventPublisher`` that remembers the last turns that another has taken."""

    def __init__(self, publisher: EventPublisher) -> None:
        self._publisher = publisher
        self._latest: deque[tuple[TurnEvents, int]] = deque(maxlen=_TURNS_MAX)

    async def publish(self, turns: Sequence[TurnEvents]) -> None:
        await self._publisher.publish(turns)
        for turn in turns[-_TURNS_MAX:]:
            size = sum(len(bytes(event)) for event in turn.events)
            if size > _BYTES_MAX:
                self._latest.append((msgspec.structs.replace(turn, events=[]), size))
            else:
                self._latest.append((turn, 0))

    async def close(self) -> None:
        await self._publisher.close()

    def shown(self) -> list[dict[str, Any]]:
        """Their envelopes as plain objects, newest last. One with more than 16 KiB of events goes without
        them, and says how many ``omitted_bytes`` there were."""
        return [_shown(turn, omitted_bytes) for turn, omitted_bytes in self._latest]


def _shown(turn: TurnEvents, omitted_bytes: int) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "version": turn.version,
        "actor": turn.actor,
        "seq": turn.seq,
        "command_id": turn.command_id,
        "recorded_ms": turn.recorded_ms,
        "events": [msgspec.json.decode(event) for event in turn.events],
    }
    if omitted_bytes:
        shown["omitted_bytes"] = omitted_bytes
    return shown
