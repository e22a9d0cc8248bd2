"""How long to wait before trying again: exponential back-off with full jitter.

Owns the arithmetic only; it never sleeps. "Full jitter" draws each delay uniformly between zero
and the exponential bound, which spreads a crowd of clients best after a server restart
(M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015).
"""

from __future__ import annotations

import random
from collections.abc import Callable


class Backoff:
    """A sequence of delays. Call :meth:`next_s` before each retry and :meth:`reset` after success."""

    __slots__ = ("_attempt", "_uniform", "base_s", "ceiling_s")

    def __init__(
        self,
        base_s: float = 0.1,
        ceiling_s: float = 10.0,
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        """``base_s`` bounds the first delay, each further bound is twice the one before, none is
        above ``ceiling_s``. ``uniform(low, high)`` draws; tests inject their own."""
        if not 0 < base_s <= ceiling_s:
            raise ValueError(f"need 0 < base_s <= ceiling_s, got {base_s} and {ceiling_s}")
        self.base_s = base_s
        self.ceiling_s = ceiling_s
        self._uniform = uniform
        self._attempt = 0

    @property
    def attempt(self) -> int:
        """Delays given since the last reset."""
        return self._attempt

    def bound_s(self) -> float:
        """The longest that the next delay can be."""
        # Beyond 2^64 the ceiling has long been reached; a float power would overflow at 2^1024.
        return float(min(self.ceiling_s, self.base_s * 2.0 ** min(self._attempt, 64)))

    def next_s(self) -> float:
        """The delay before the next attempt, in seconds."""
        delay = self._uniform(0.0, self.bound_s())
        self._attempt += 1
        return delay

    def reset(self) -> None:
        """The last attempt succeeded: start from ``base_s`` again."""
        self._attempt = 0
