"""One round of Crash: its rules, its phases, and when and how it ends. Pure arithmetic.

A running round passes through its multipliers in ascending order, and what happens at each of them
follows from that order alone: bets are cashed out at their targets, the lowest first, and the round
ends at its crash point or, when the table could not pay more, at the multiplier before that. So it
makes no difference how late the table gets to it: all payouts are as if it had been there in time.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import msgspec

from actors.crash.messages import STAKE_LIMIT
from actors.games.crash import (
    CRASH_POINT_MIN,
    MULTIPLIER_MAX,
    elapsed_until,
    elapsed_until_above,
    multiplier_at,
    payout,
)

_TABLE_NAME = re.compile(r"[a-z][a-z0-9-]{0,31}")


class TableRules(msgspec.Struct, frozen=True):
    """The rules of one table. Raises ``ValueError`` when no round could be played by them."""

    betting_ms: int = 5_000
    pause_ms: int = 3_000
    """From the end of a round to the next one's betting."""
    stake_min: int = 1
    stake_max: int = 100_000
    """For the role STANDARD; see ``actors.roles``."""
    liability_max: int = 1_000_000_000
    """The most gold that the house loses in one round. Also bounds the sum of a round's stakes, so
    that no round is forced to end below 2.00×."""
    bets_max: int = 10_000
    is_closing: bool = False
    """The round under way is played to its end and settled; no bet is taken and no other is opened."""

    def __post_init__(self) -> None:
        if not 1 <= self.stake_min <= self.stake_max <= STAKE_LIMIT:
            raise ValueError(f"no table takes stakes of {self.stake_min} to {self.stake_max}")
        if self.liability_max < self.stake_min or self.bets_max < 1:
            raise ValueError("the table would have no room for a single bet")
        if self.betting_ms < 1 or self.pause_ms < 0:
            raise ValueError("betting takes at least 1 ms, and a pause is not negative")


def check_names(tables: Mapping[str, TableRules]) -> None:
    """Raises ``ValueError`` for a name that cannot be a table's: it is part of account names."""
    for name in tables:
        if not _TABLE_NAME.fullmatch(name):
            raise ValueError(f"not the name of a Crash table: {name!r}")


class Phase(enum.Enum):
    BETTING = "betting"
    RUNNING = "running"
    CRASHED = "crashed"
    """Ended; bets are being settled."""
    PAUSE = "pause"
    """Nothing is open. A table begins here, as round 0."""


class Happening(enum.Enum):
    OPENED = "opened"
    STARTED = "started"
    ENDED = "ended"
    SETTLED = "settled"


TRANSITIONS: dict[tuple[Phase, Happening], Phase] = {
    (Phase.PAUSE, Happening.OPENED): Phase.BETTING,
    (Phase.BETTING, Happening.STARTED): Phase.RUNNING,
    (Phase.RUNNING, Happening.ENDED): Phase.CRASHED,
    (Phase.CRASHED, Happening.SETTLED): Phase.PAUSE,
}
"""The whole life of a table. What is not here cannot happen."""


class Bet(msgspec.Struct, array_like=True, gc=False):
    """``number`` is its player's count of bets. ``multiplier`` and ``payout`` stay None and 0 while
    the bet is open, and when it is lost."""

    number: int
    stake: int
    auto: int | None
    multiplier: int | None = None
    payout: int = 0


Target = tuple[int, str]
"""``(auto cash-out, user id)`` of an open bet."""


def elapsed_ms(started_ms: int, now_ms: int) -> int:
    """Of a running round. A clock may be behind the one that it was started by, and anywhere ahead."""
    return min(max(0, now_ms - started_ms), _LONGEST_MS)


_LONGEST_MS = elapsed_until(MULTIPLIER_MAX)


class Ending(NamedTuple):
    at_ms: int
    """The first ms at which the round is over."""
    multiplier: int
    """The crash point or, when forced, what all open bets are paid at."""
    forced: bool


class Standing(NamedTuple):
    """A running round at a moment."""

    due: int
    """How many open bets have reached their targets: the first ``due`` of the targets."""
    ending: Ending
    """How the round ends when nobody else is paid. Every payment puts a forced end off."""


def forced_limit(open_stakes: int, profits_paid: int, liability_max: int) -> int:
    """The largest multiplier m at which all open bets can be paid:
    ``profits_paid + open_stakes * (m - 1) <= liability_max``.

    It never falls as bets are cashed out at or below it: they free more than they take.
    """
    if not open_stakes:
        return MULTIPLIER_MAX
    room = 100 * (liability_max - profits_paid) // open_stakes
    return min(CRASH_POINT_MIN + room, MULTIPLIER_MAX)


class Course(NamedTuple):
    """What decides how a running round goes on. ``crash_point`` is secret."""

    started_ms: int
    crash_point: int
    liability_max: int
    open_stakes: int
    profits_paid: int
    targets: Sequence[Target]
    """Of the open bets, ascending."""
    stake_of: Callable[[str], int]
    capped: int | None
    """Where the round is known to be forced to end: somebody has been paid at that."""

    def standing(self, now_ms: int) -> Standing:
        """With every target paid that has been reached by now.

        The walk goes as far as the multiplier of the moment, never further: before the end of the
        round, the time that it takes tells nothing of the crash point.
        """
        reached = multiplier_at(elapsed_ms(self.started_ms, now_ms))
        open_stakes, profits_paid, due = self.open_stakes, self.profits_paid, 0
        limit = self._limit(open_stakes, profits_paid)
        for auto, user_id in self.targets:
            if auto > reached or auto > limit or auto > self.crash_point:
                break
            stake = self.stake_of(user_id)
            open_stakes -= stake
            profits_paid += payout(stake, auto) - stake
            limit = self._limit(open_stakes, profits_paid)
            due += 1
        return Standing(due, self._ending(limit))

    def ahead(self) -> Ending:
        """How the round ends when nobody is paid before. Takes the same time whatever the crash point."""
        return self._ending(self._limit(self.open_stakes, self.profits_paid))

    def _limit(self, open_stakes: int, profits_paid: int) -> int:
        if self.capped is not None:
            return self.capped
        return forced_limit(open_stakes, profits_paid, self.liability_max)

    def _ending(self, limit: int) -> Ending:
        return ending(self.started_ms, self.crash_point, limit)


def ending(started_ms: int, crash_point: int, limit: int) -> Ending:
    """Where a round ends that crashes at ``crash_point`` and must be ended at ``limit``: at whichever
    multiplier is lower. At both, everybody still in is paid: ``crash_point`` itself still wins."""
    if limit <= crash_point:
        return Ending(started_ms + elapsed_until(limit), limit, True)
    if crash_point <= CRASH_POINT_MIN:
        return Ending(started_ms, crash_point, False)
    return Ending(started_ms + elapsed_until_above(crash_point), crash_point, False)


def paid_at(auto: int | None, multiplier: int, forced: bool) -> int | None:
    """What the end of a round at ``multiplier`` makes of a bet that is still open: at its target if
    that was reached, otherwise at ``multiplier`` when the end was forced, otherwise lost (None)."""
    if auto is not None and auto <= multiplier:
        return auto
    return multiplier if forced else None
