"""What the sink says of itself: totals, and how far behind it is."""

from __future__ import annotations

from collections.abc import Iterable

from runtime.envelope import TurnEvents


class SinkStatistics:
    """Totals since the process started, of what this sink did itself; behind are only the partitions
    that the group has given to it."""

    def __init__(self) -> None:
        self.turns = 0
        self.events = 0
        self.dead_letters = 0
        self.failures = 0
        """Attempts of any kind that failed."""
        self.inserted_until_ms = 0
        """What was recorded before is inserted, give or take the order of partitions. The lag is the time
        since."""
        self.records_behind: dict[int, int] = {}
        """By partition: records on the bus that are not inserted."""

    @property
    def records_behind_total(self) -> int:
        return sum(self.records_behind.values())

    def lag_ms(self, now_ms: int) -> int:
        """Age of what is to be inserted next; 0 before the first turn."""
        return max(0, now_ms - self.inserted_until_ms) if self.inserted_until_ms else 0

    def count(self, inserted: Iterable[TurnEvents]) -> None:
        """Turns that were inserted just now."""
        for turn in inserted:
            self.turns += 1
            self.events += len(turn.events)
            self.inserted_until_ms = max(self.inserted_until_ms, turn.recorded_ms)

    def measured(self, records_behind: dict[int, int], asked_ms: int) -> None:
        """``asked_ms`` is when the measurement began."""
        self.records_behind = records_behind
        if records_behind and not any(records_behind.values()):
            self.inserted_until_ms = max(self.inserted_until_ms, asked_ms)
