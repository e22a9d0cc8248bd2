"""Experience and levels. Integer arithmetic only, so that every replay agrees."""

from __future__ import annotations

from math import isqrt

EXP_MAX = 2**53 - 1
"""The largest integer every JSON client holds exactly."""

_EXP_STEP = 50


def exp_for_play(stake: int) -> int:
    """Experience for one play: ``10 + floor(sqrt(stake))``. Grows with the stake, but slowly."""
    return 10 + isqrt(stake)


def exp_to_reach(level: int) -> int:
    """Experience at which ``level`` begins: ``50 · level · (level - 1)``, so 0, 100, 300, 600 …"""
    return _EXP_STEP * level * (level - 1)


def level_of(exp: int) -> int:
    """The highest level whose beginning ``exp`` has reached; the inverse of :func:`exp_to_reach`."""
    return (1 + isqrt(1 + 4 * (exp // _EXP_STEP))) // 2


def add_exp(exp: int, gained: int) -> int:
    return min(exp + gained, EXP_MAX)
