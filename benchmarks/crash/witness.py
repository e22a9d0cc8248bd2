"""What one listener saw of a table's rounds, and whether it agrees with itself and with the scheme.

Owns the checks of rounds: link and crash point of each that ended, the curve, and that an end never
contradicts what was shown before it. Bets are ``account``'s.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from benchmarks.crash.events import BettingOpened, CashedOut, Crashed, PlayedRound, Started, State, Tick
from benchmarks.crash.scheme import OffTheGrid, crash_point, hundredths, is_link, multiplier_at
from benchmarks.crash.violations import Violations

_ROUNDS_REMEMBERED = 64

_multiplier_at = lru_cache(maxsize=64)(multiplier_at)


class Ended(NamedTuple):
    """How a round ended, in hundredths. ``reached`` is below ``crash_point`` only when it was forced."""

    round: int
    hash: str
    crash_point: int
    reached: int
    forced: bool


@lru_cache(maxsize=256)
def faults_of(ended: Ended, previous_hash: str | None, salt: str | None) -> tuple[str, ...]:
    """Why a finished round does not verify; the same answer for every listener.

    Without ``salt`` the crash point, and without ``previous_hash`` the link, goes unchecked.
    """
    faults = []
    try:
        if previous_hash is not None and not is_link(ended.hash, previous_hash):
            faults.append(f"SHA-256 of {ended.hash} is not {previous_hash}")
        if salt is not None and (expected := crash_point(ended.hash, salt)) != ended.crash_point:
            faults.append(f"its hash gives {expected}, told was {ended.crash_point}")
    except ValueError as error:
        faults.append(f"not a hash: {error}")
    if ended.reached > ended.crash_point or (ended.reached < ended.crash_point and not ended.forced):
        faults.append(f"it ended at {ended.reached}, its crash point is {ended.crash_point}")
    return tuple(faults)


class Witness:
    """One listener's memory. Feed it every event of the table, in order."""

    __slots__ = ("_current", "_highest", "_name", "_salt", "_starts", "_violations", "ended", "rounds_seen")

    def __init__(self, name: str, violations: Violations, salt: str | None) -> None:
        self.ended: dict[int, Ended] = {}
        """The rounds whose end it knows, oldest first; only the last few."""
        self.rounds_seen = 0
        """Rounds whose end it was told when it came."""
        self._name = name
        self._violations = violations
        self._salt = salt
        self._current: int | None = None
        """The round of the last event, since the last subscription."""
        self._highest: dict[int, int] = {}
        """Per round, the highest multiplier that a tick or a cash-out has shown."""
        self._starts: dict[int, int] = {}

    def state(self, event: State) -> None:
        """A new view: nothing is missing from here on, whatever was before."""
        self._current = event.round if event.phase in ("betting", "running") else None
        for played in event.history:
            ended = self._ended_of(played)
            if ended is not None:
                self._remember(ended, None)
        if event.phase in ("betting", "running"):
            self._goes_on(event.round, event.phase)
        if event.phase == "running" and event.started_ms is not None:
            self._started_at(event.round, event.started_ms)

    def betting_opened(self, event: BettingOpened) -> None:
        before, self._current = self._current, event.round
        self._goes_on(event.round, "betting opened")
        if before is None or before < 1 or before == event.round:
            return
        if event.round != before + 1:
            self._note("rounds not in order", f"{event.round} after {before}")
        elif before not in self.ended:
            self._note("end of a round not told", f"{before}")

    def started(self, event: Started) -> None:
        self._current = event.round
        self._goes_on(event.round, "started")
        self._started_at(event.round, event.started_ms)

    def tick(self, event: Tick) -> None:
        """The hot path."""
        number, shown = event.round, event.hundredths
        self._current = number
        if shown > self._highest.get(number, 0):
            self._highest[number] = shown
        if number in self.ended:
            self._goes_on(number, f"tick at {shown}")
        # The house may have its own way to round a floating-point exponential down.
        if abs(shown - _multiplier_at(event.elapsed_ms)) > 1:
            self._note("off the curve", f"round {number} shows {shown} after {event.elapsed_ms} ms")

    def cashed_out(self, event: CashedOut) -> None:
        """May follow the end of its round: cash-outs are told in bundles."""
        self.shown(event.round, event.highest)

    def shown(self, number: int, multiplier: int) -> None:
        """Somebody was paid at this multiplier."""
        if multiplier > self._highest.get(number, 0):
            self._highest[number] = multiplier
        ended = self.ended.get(number)
        if ended is not None and multiplier > ended.reached:
            self._note("contradicted by a cash-out", f"round {number}: {ended.reached} < {multiplier}")

    def crashed(self, event: Crashed) -> Ended | None:
        """The end of a round. None when it cannot be read."""
        self._current = event.round
        ended = self._ended_of(event)
        if ended is None:
            return None
        if event.round not in self.ended:
            self.rounds_seen += 1
        self._remember(ended, event.previous_hash)
        before = self.ended.get(event.round - 1)
        if before is not None and before.hash != event.previous_hash:
            self._note("chain broken", f"round {event.round} has {event.previous_hash}, not {before.hash}")
        highest = self._highest.get(event.round, 0)
        if highest > ended.reached:
            self._note("contradicted by its end", f"round {event.round} ended at {ended.reached} < {highest}")
        return ended

    def _ended_of(self, played: PlayedRound | Crashed) -> Ended | None:
        try:
            point = hundredths(played.crash_point)
            reached = point if played.multiplier is None else hundredths(played.multiplier)
        except OffTheGrid as error:
            self._note("round does not verify", f"round {played.round}: {error}")
            return None
        return Ended(played.round, played.hash, point, reached, played.ended == "forced")

    def _remember(self, ended: Ended, previous_hash: str | None) -> None:
        known = self.ended.get(ended.round)
        if known is None:
            self.ended[ended.round] = ended
        elif known != ended:
            self._note("another end of the same round", f"round {ended.round}: {known}, then {ended}")
        for fault in faults_of(ended, previous_hash, self._salt):
            self._note("round does not verify", f"round {ended.round}: {fault}")
        if len(self.ended) > _ROUNDS_REMEMBERED:
            oldest = min(self.ended)
            del self.ended[oldest]
            self._highest.pop(oldest, None)
            self._starts.pop(oldest, None)

    def _goes_on(self, number: int, how: str) -> None:
        if number in self.ended:
            self._note("goes on after its end", f"round {number}: {how}")

    def _started_at(self, number: int, started_ms: int) -> None:
        if self._starts.setdefault(number, started_ms) != started_ms:
            self._note("started anew", f"round {number}: at {self._starts[number]}, then at {started_ms}")

    def _note(self, kind: str, what: str) -> None:
        self._violations.note(kind, f"{self._name}: {what}")
