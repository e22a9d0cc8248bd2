"""The player's state as the events tell it. Pure: fed events, asks nobody."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from clients.protocol import Event


@dataclass
class ClientState:
    """What is known after the last event. A field is None until an event has told it.

    Kept by ``initial_state`` and ``profile_update`` events only, which are numbered. Results of
    commands are not used: a repeated command returns its first, by now outdated, result.
    """

    user_id: str | None = None
    gold_balance: int | None = None
    level: int | None = None
    exp: int | None = None
    streak_count: int | None = None
    details: dict[str, Any] = field(default_factory=dict)
    """The whole of the last ``initial_state``, as it came."""

    def apply(self, event: Event) -> None:
        """Take in one event, in order."""
        if event.user_id:
            self.user_id = event.user_id
        data = event.data
        match event.type:
            case "initial_state":
                self.details = data
                self._take(data)
                profile = data.get("profile")
                if isinstance(profile, dict):
                    self._take(profile)
                streak = data.get("streak")
                if isinstance(streak, dict):
                    self._take_streak(streak)
                else:
                    self._take_streak(data)
            case "profile_update":
                changes = data.get("changes")
                if isinstance(changes, dict):
                    self._take(changes)
            case "streak_update":
                self._take_streak(data)
            case _:
                pass

    def _take(self, values: dict[str, Any]) -> None:
        for name in ("gold_balance", "level", "exp"):
            value = values.get(name)
            if isinstance(value, int):
                setattr(self, name, value)

    def _take_streak(self, values: dict[str, Any]) -> None:
        count = values.get("streak_count")
        if isinstance(count, int):
            self.streak_count = count
