"""How a bot plays Crash: a small table of strategies, one per bot, and what each does in a round.

Owns the choices, pure and reproducible from the bot's number and seed. Acting on them in time is the
bot's. Multipliers are hundredths.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import NamedTuple

STAKE_MAX = 5
"""Small against the 10,000 gold of a new guest."""
_MARTINGALE_DOUBLINGS_MAX = 5
_SKIPPED_ONE_IN = 3


class Plan(NamedTuple):
    """One round's bet. With neither target nor moment, only the auto cash-out or the crash ends it."""

    stake: int
    auto: int | None = None
    target: int | None = None
    """Cash out by hand when a tick shows this multiplier or more."""
    after_ms: int | None = None
    """Cash out by hand this long after the start."""
    hasty: bool = False
    """Tries to cash out already when the bet is taken and when the round starts: too early."""
    late: bool = False
    """Tries to cash out when the crash has been told: too late."""


Choose = Callable[[Random], Plan | None]


def _stake(random: Random) -> int:
    return random.randint(1, STAKE_MAX)


def _auto(multiplier: int) -> Choose:
    return lambda random: Plan(_stake(random), auto=multiplier)


def _target(random: Random) -> Plan:
    return Plan(
        _stake(random),
        target=random.randint(105, 500),
        hasty=random.random() < 0.1,
        late=random.random() < 0.1,
    )


def _moment(random: Random) -> Plan:
    """Some of these come so early that the multiplier is still 1.00."""
    return Plan(_stake(random), after_ms=int(random.expovariate(1 / 8_000)))


def _both(random: Random) -> Plan:
    target = random.randint(110, 300)
    auto = max(101, target + random.randint(-20, 100))
    return Plan(_stake(random), auto=auto, target=target, late=random.random() < 0.1)


def _rider(random: Random) -> Plan:
    return Plan(_stake(random))


def _skipper(random: Random) -> Plan | None:
    return Plan(_stake(random), auto=150) if random.randrange(_SKIPPED_ONE_IN) == 0 else None


def _base(random: Random) -> Plan:
    return Plan(1, auto=200)


STRATEGIES: dict[str, Choose] = {
    "auto 1.01": _auto(101),
    "manual target": _target,
    "auto 1.50": _auto(150),
    "manual moment": _moment,
    "auto 2.00": _auto(200),
    "auto and manual": _both,
    "auto 10.00": _auto(1_000),
    "rider": _rider,
    "auto 100.00": _auto(10_000),
    "skipper": _skipper,
    "martingale": _base,
}
"""In the order in which bots get them."""


class Strategy:
    """One bot's way to play. ``gold`` is what it has now, or None while it does not know."""

    __slots__ = ("_choose", "_doublings", "_random", "name")

    def __init__(self, number: int, random: Random) -> None:
        names = list(STRATEGIES)
        self.name = names[number % len(names)]
        self._choose = STRATEGIES[self.name]
        self._random = random
        self._doublings = 0

    def plan(self, gold: int | None, stake_min: int = 1, stake_max: int | None = None) -> Plan | None:
        """For the round that takes bets now. None: it sits out, or has nothing left to bet."""
        chosen = self._choose(self._random)
        if chosen is None:
            return None
        stake = max(chosen.stake << self._doublings, stake_min)
        if stake_max is not None:
            stake = min(stake, stake_max)
        if gold is not None and stake > gold:
            stake = stake_min
        if gold is not None and stake > gold:
            return None
        return chosen._replace(stake=stake)

    def settled(self, won: bool) -> None:
        """How the last bet ended. Only the martingale cares."""
        if self.name == "martingale":
            gives_up = won or self._doublings >= _MARTINGALE_DOUBLINGS_MAX
            self._doublings = 0 if gives_up else self._doublings + 1
