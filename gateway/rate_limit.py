"""A rate limiter in this process's memory: for one gateway, and for when the shared one is away."""

from __future__ import annotations

from collections import OrderedDict

from runtime.clock import Clock


class LocalRateLimiter:
    """A token bucket per key. The least recently used keys are forgotten beyond ``keys_max``."""

    def __init__(self, clock: Clock, burst: int, per_s: float, keys_max: int = 10_000) -> None:
        self._clock = clock
        self._burst = float(burst)
        self._per_s = per_s
        self._keys_max = keys_max
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    async def allow(self, key: str) -> float | None:
        now = self._clock.monotonic()
        tokens, filled_at = self._buckets.get(key, (self._burst, now))
        tokens = min(self._burst, tokens + (now - filled_at) * self._per_s)
        retry_after = None if tokens >= 1.0 else (1.0 - tokens) / self._per_s
        self._buckets[key] = (tokens - 1.0 if retry_after is None else tokens, now)
        self._buckets.move_to_end(key)
        if len(self._buckets) > self._keys_max:
            self._buckets.popitem(last=False)
        return retry_after
