"""The local rate limiter."""

from __future__ import annotations

import pytest

from gateway.rate_limit import LocalRateLimiter
from tests.unit.gateway.fakes import FakeClock


async def test_burst_then_rate() -> None:
    clock = FakeClock()
    limiter = LocalRateLimiter(clock, burst=2, per_s=0.5)
    assert [await limiter.allow("a") for _ in range(3)] == [None, None, pytest.approx(2.0)]
    assert await limiter.allow("b") is None, "keys do not share"
    clock.seconds += 1
    assert await limiter.allow("a") == pytest.approx(1.0)
    clock.seconds += 1
    assert await limiter.allow("a") is None
    clock.seconds += 1000
    assert [await limiter.allow("a") for _ in range(3)] == [None, None, pytest.approx(2.0)]


async def test_memory_is_bounded() -> None:
    limiter = LocalRateLimiter(FakeClock(), burst=1, per_s=1, keys_max=10)
    for number in range(1000):
        await limiter.allow(str(number))
    assert len(limiter._buckets) == 10
