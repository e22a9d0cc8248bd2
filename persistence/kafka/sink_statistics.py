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
        self.skipped = 0
        """Records that were gone from the bus before this sink came to them."""
        self.failures = 0
        """Attempts of any kind that failed."""
        self.inserted_until_ms: int | None = None
        """What was recorded before is inserted. The lag is the time since. None before it is known of every
        partition, by a first insert or by a look at how many records wait."""
        self.records_behind: dict[int, int] = {}
        """By partition: records on the bus that are not inserted."""
        self._reached: dict[int, int] = {}
        """By partition: until when it is inserted."""

    @property
    def records_behind_total(self) -> int:
        return sum(self.records_behind.values())

    def count(self, inserted: Iterable[tuple[int, TurnEvents]]) -> None:
        """Turns that were inserted just now, each with its partition."""
        for partition, turn in inserted:
            self.turns += 1
            self.events += len(turn.events)
            # Also back in time: the bus was empty, and what comes now had waited before it.
            self._reached[partition] = turn.recorded_ms
        self._settle()

    def measured(self, records_behind: dict[int, int], asked_ms: int) -> None:
        """``asked_ms`` is when the measurement began."""
        self.records_behind = records_behind
        for partition, behind in records_behind.items():
            if not behind:
                self._reached[partition] = max(self._reached.get(partition, 0), asked_ms)
        self._settle()

    def _settle(self) -> None:
        if self.records_behind and all(partition in self._reached for partition in self.records_behind):
            self.inserted_until_ms = min(self._reached[partition] for partition in self.records_behind)
