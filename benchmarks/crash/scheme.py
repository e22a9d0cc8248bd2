"""The published arithmetic of Crash: what a round must have been.

Pure. Multipliers are integers of hundredths (``150`` is 1.50x); times are ms. It shares no code with
the server (hashes are the clients' verification's), so that a mistake there cannot hide here.
"""

from __future__ import annotations

import math
from functools import lru_cache

from clients.verification import is_crash_link, verify_crash_round

GROWTH_PER_MS = 0.00006


class OffTheGrid(ValueError):
    """A multiplier with more than two decimals."""


def hundredths(multiplier: float) -> int:
    """A multiplier as it came over the wire.

    Raises:
        OffTheGrid: it is not a whole number of hundredths.
    """
    scaled = multiplier * 100
    if not math.isfinite(scaled) or abs(scaled - round(scaled)) > 1e-6 * max(1.0, abs(multiplier)):
        raise OffTheGrid(f"{multiplier!r} is not on the grid of hundredths")
    return round(scaled)


def multiplier_at(elapsed_ms: int) -> int:
    """The curve: ``floor(100 * e^(0.00006 t))``."""
    return max(100, math.floor(100 * math.exp(GROWTH_PER_MS * elapsed_ms)))


def payout(stake: int, multiplier: int) -> int:
    """Gold, rounded down."""
    return stake * multiplier // 100


def is_link(round_hash: str, previous_hash: str) -> bool:
    """Whether ``previous_hash`` is the SHA-256 of ``round_hash`` (both hex, over raw bytes).

    Raises:
        ValueError: one of them is no hash.
    """
    return is_crash_link(round_hash, previous_hash)


@lru_cache(maxsize=256)
def crash_point(round_hash: str, salt: str) -> int:
    """Where the round with this hash ends, under the published salt (both hex).

    Raises:
        ValueError: one of them is no such thing.
    """
    return hundredths(verify_crash_round(round_hash, salt))
