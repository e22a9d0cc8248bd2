"""When the next one arrives: rates and stages as people type them, and the times that follow.

Pure. An open model: arrivals come when they come, whatever the server does. Rates are per second,
times are nanoseconds from the beginning of the load.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from random import Random

import msgspec

RATE_OF_PROCESS_MAX = 20_000.0
"""Arrivals per second beyond which one process of Python cannot be the load generator."""

_SECONDS_MAX = 24 * 3600.0
_UNIT_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "": 1.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|)")
_RATE = re.compile(r"(\d+(?:\.\d+)?)(?:/(s|m|h))?")
_NS = 1_000_000_000


class Stage(msgspec.Struct, frozen=True):
    """So long, from one rate to another in a straight line."""

    seconds: float
    rate_begin: float
    rate_end: float

    @property
    def arrivals(self) -> float:
        """How many come in it; not a whole number in general."""
        return self.seconds * (self.rate_begin + self.rate_end) / 2


def parse_duration(text: str) -> float:
    """Seconds in ``500ms``, ``60s``, ``2m``, ``1h`` or plain ``60``.

    Raises:
        ValueError: not such a text, zero, or more than a day.
    """
    match = _DURATION.fullmatch(text.strip())
    seconds = float(match[1]) * _UNIT_S[match[2]] if match else 0.0
    if not 0 < seconds <= _SECONDS_MAX:
        raise ValueError(f"{text!r} is not a duration such as 60s, 2m or 500ms, of a day at most")
    return seconds


def parse_rate(text: str) -> float:
    """Arrivals per second in ``2000/s``, ``600/m`` or plain ``2000``.

    Raises:
        ValueError: not such a text, or zero.
    """
    match = _RATE.fullmatch(text.strip())
    rate = float(match[1]) / _UNIT_S[match[2] or "s"] if match else 0.0
    if rate <= 0:
        raise ValueError(f"{text!r} is not a rate such as 2000/s or 600/m")
    return rate


def parse_stages(text: str, rate_begin: float = 0.0) -> tuple[Stage, ...]:
    """``30s:500,1m:2000`` as k6 means it: in 30 s from ``rate_begin`` to 500 a second, within another
    minute to 2000. A target of 0 is allowed.

    Raises:
        ValueError: not such a text, or nothing would ever arrive.
    """
    stages = []
    for part in text.split(","):
        duration, separator, target = part.partition(":")
        if not separator:
            raise ValueError(f"{part!r} is not a stage such as 30s:500")
        rate_end = 0.0 if target.strip() in ("0", "0/s") else parse_rate(target)
        stages.append(Stage(parse_duration(duration), rate_begin, rate_end))
        rate_begin = rate_end
    if not any(stage.arrivals for stage in stages):
        raise ValueError(f"{text!r}: nothing ever arrives")
    return tuple(stages)


def constant(rate: float, seconds: float) -> tuple[Stage, ...]:
    return (Stage(seconds, rate, rate),)


def with_warm_up(stages: Sequence[Stage], seconds: float) -> tuple[Stage, ...]:
    """These, after ``seconds`` of what they begin with, or of a tenth of their peak if that is nothing."""
    if seconds <= 0:
        return tuple(stages)
    rate = stages[0].rate_begin or peak(stages) / 10
    return (Stage(seconds, rate, rate), *stages)


def total_seconds(stages: Sequence[Stage]) -> float:
    return sum(stage.seconds for stage in stages)


def peak(stages: Sequence[Stage]) -> float:
    """The highest rate, per second."""
    return max(max(stage.rate_begin, stage.rate_end) for stage in stages)


def check_rate(stages: Sequence[Stage], processes: int) -> None:
    """Raises ``ValueError`` when so many processes cannot make such a load, and says what could."""
    if peak(stages) > RATE_OF_PROCESS_MAX * processes:
        needed = math.ceil(peak(stages) / RATE_OF_PROCESS_MAX)
        raise ValueError(
            f"{peak(stages):,.0f} arrivals/s are too many for {processes} generator process(es), of which "
            f"each makes {RATE_OF_PROCESS_MAX:,.0f} at the very most: give --processes {needed}, "
            "on a machine with as many cores to spare, or a lower rate"
        )


def time_of(stages: Sequence[Stage], number: float) -> float | None:
    """Seconds until ``number`` arrivals have come, which need not be whole; None: that many never come.
    The inverse of the integral of the rate."""
    began = 0.0
    for stage in stages:
        if number < stage.arrivals:
            # number = b t + (e - b) t² / (2 s), solved so that e = b is no division by zero.
            begin, slope = stage.rate_begin, (stage.rate_end - stage.rate_begin) / stage.seconds
            root = math.sqrt(max(0.0, begin * begin + 2 * slope * number))
            return began + (2 * number / (begin + root) if begin + root else 0.0)
        number -= stage.arrivals
        began += stage.seconds
    return None


def arrivals(
    stages: Sequence[Stage],
    *,
    poisson: bool = False,
    seed: int | None = None,
    process: int = 0,
    processes: int = 1,
) -> Iterator[int]:
    """Nanoseconds of each arrival that falls to this one of so many processes, in order.

    Evenly spaced, the processes take turns. Poisson: each draws its own, at its share of the rate, by
    time rescaling (a unit-rate process, through ``time_of``); their sum is Poisson again. The same seed
    gives the same times.
    """
    # Of a Poisson process, a seed is one process's: together they must not draw the same times.
    random = Random(None if seed is None else seed * 1_000 + process)
    number = 0.0 if poisson else float(process)
    while True:
        if poisson:
            number += random.expovariate(1.0) * processes
        at_s = time_of(stages, number)
        if at_s is None:
            return
        yield round(at_s * _NS)
        if not poisson:
            number += processes
