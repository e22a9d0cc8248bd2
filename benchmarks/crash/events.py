"""What a table says to its listeners, decoded; and the counting of it.

Owns the events' shapes as far as a player needs them, and :class:`Feed`, which decodes an event once
for all the connections of a process that receive the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic_ns, time_ns
from typing import Any, Union

import msgspec

from benchmarks.crash.scheme import hundredths
from benchmarks.measurements import Timing


class PlayedRound(msgspec.Struct):
    """A finished round in a table's history."""

    round: int
    hash: str
    crash_point: float
    ended: str = "crashed"
    multiplier: float | None = None


class State(msgspec.Struct):
    """``crash_state``: the view, after each subscription and any discontinuity."""

    round: int
    phase: str
    betting_ends_ms: int | None = None
    started_ms: int | None = None
    history: list[PlayedRound] = []
    stake_min: int = 1
    stake_max: int | None = None


class BettingOpened(msgspec.Struct):
    round: int
    betting_ends_ms: int


class BetsPlaced(msgspec.Struct):
    round: int


class Started(msgspec.Struct):
    round: int
    started_ms: int


class Tick(msgspec.Struct):
    """``hundredths`` is the multiplier as an integer."""

    round: int
    elapsed_ms: int
    multiplier: float
    hundredths: int = 0

    def __post_init__(self) -> None:
        self.hundredths = hundredths(self.multiplier)


class CashOut(msgspec.Struct):
    multiplier: float


class CashedOut(msgspec.Struct):
    """``highest`` of the cash-outs, in hundredths."""

    round: int
    cash_outs: list[CashOut] = []
    highest: int = 0

    def __post_init__(self) -> None:
        self.highest = max((hundredths(cash_out.multiplier) for cash_out in self.cash_outs), default=0)


class Crashed(msgspec.Struct):
    round: int
    crash_point: float
    hash: str
    previous_hash: str
    ended: str = "crashed"
    multiplier: float | None = None


TableEvent = Union[State, BettingOpened, BetsPlaced, Started, Tick, CashedOut, Crashed]

_decoders: dict[str, Callable[[msgspec.Raw], Any]] = {
    name: msgspec.msgpack.Decoder(kind).decode
    for name, kind in {
        "crash_state": State,
        "crash_betting_opened": BettingOpened,
        "crash_bets_placed": BetsPlaced,
        "crash_started": Started,
        "crash_tick": Tick,
        "crash_cashed_out": CashedOut,
        "crash_crashed": Crashed,
    }.items()
}


class Feed:
    """A table as one process hears it, over all its connections.

    A gateway writes the same bytes to every listener, so most frames equal the one before: those cost
    a comparison. Lags are those of ticks, each against the wall clock of this machine.
    """

    def __init__(self) -> None:
        self.payload = b""
        """The last event's bytes, and what they say."""
        self.event: TableEvent | None = None
        self.deliveries = 0
        """Events of the table, counted on every connection."""
        self.tick_deliveries = 0
        self.ticks = 0
        """Different ones."""
        self.running_ns = 0
        """Time between ticks that followed one another in the same round."""
        self.tick_gap_ns_max = 0
        """Longest such time: how long a running round was silent."""
        self.tick_bytes = 0
        """Size of the last tick's payload."""
        self.lag = Timing()
        self.rounds_ended: set[int] = set()
        self._stamp_us = 0
        self._newest = (0, 0)
        self._newest_at_ns = 0

    def knows(self, name: str) -> bool:
        """Whether an event of this type belongs to a table."""
        return name in _decoders

    def take(self, payload: bytes, name: str, timestamp_ms: int, data: msgspec.Raw) -> TableEvent:
        """An event that differs from the last.

        Raises:
            msgspec.DecodeError: not of the protocol's shape, or a multiplier off the grid.
        """
        event: TableEvent = _decoders[name](data)
        self.event, self.payload = event, payload
        self.deliveries += 1
        if isinstance(event, Tick):
            self._stamp_us = timestamp_ms * 1000
            self.tick_bytes = len(payload)
            self._note(event, monotonic_ns())
            self._tick_delivered()
        elif isinstance(event, Crashed):
            self.rounds_ended.add(event.round)
        return event

    def again(self) -> None:
        """The same bytes once more, on another connection."""
        self.deliveries += 1
        if type(self.event) is Tick:
            self._tick_delivered()

    def _tick_delivered(self) -> None:
        self.tick_deliveries += 1
        self.lag.record(time_ns() // 1000 - self._stamp_us)

    def _note(self, tick: Tick, now_ns: int) -> None:
        newest = (tick.round, tick.elapsed_ms)
        if newest <= self._newest:
            return  # late, on a connection that is behind the others
        self.ticks += 1
        if tick.round == self._newest[0]:
            gap = now_ns - self._newest_at_ns
            self.running_ns += gap
            self.tick_gap_ns_max = max(self.tick_gap_ns_max, gap)
        self._newest = newest
        self._newest_at_ns = now_ns
