"""Shared counters in Redis or Valkey: what may be forgotten, and whose loss locks nobody out.

Every key is ``casino:<area>:<id>`` and has a time to live.
"""

from __future__ import annotations

import asyncio

import redis.asyncio
from redis.exceptions import RedisError

_CONNECTIONS_MAX = 8

# One step, so that a crash in between cannot leave a counter that never expires.
_COUNT = """
local count = redis.call('INCR', KEYS[1])
local left_ms = redis.call('PTTL', KEYS[1])
if left_ms < 0 then
    redis.call('PEXPIRE', KEYS[1], ARGV[1])
    left_ms = tonumber(ARGV[1])
end
return {count, left_ms}
"""


class CounterUnavailable(RuntimeError):
    """The counter could not be asked in time. Fall back to a limit of your own."""


class WindowCounter:
    """At most ``uses_max`` uses of a key within a window that begins with its first use."""

    def __init__(
        self, url: str, area: str, *, uses_max: int, window_s: float, timeout_s: float = 0.2
    ) -> None:
        """``area`` names what is counted, e.g. ``guest_rate``."""
        self._area = area
        self._uses_max = uses_max
        self._window_ms = int(window_s * 1000)
        self._timeout_s = timeout_s
        # Waits for a free connection; the ordinary pool would refuse a burst at once.
        pool: redis.asyncio.BlockingConnectionPool = redis.asyncio.BlockingConnectionPool.from_url(
            url, max_connections=_CONNECTIONS_MAX, timeout=timeout_s, socket_connect_timeout=timeout_s
        )
        self._client = redis.asyncio.Redis.from_pool(pool)
        self._count = self._client.register_script(_COUNT)

    async def close(self) -> None:
        await self._client.aclose()

    async def allow(self, key: str) -> float | None:
        """Count one use. ``None`` when allowed, else the seconds until the window ends.

        Raises:
            CounterUnavailable: no answer within the timeout. The use may have been counted.
        """
        try:
            async with asyncio.timeout(self._timeout_s):
                count, left_ms = await self._count(
                    keys=[f"casino:{self._area}:{key}"], args=[self._window_ms]
                )
        except (RedisError, OSError, TimeoutError) as error:
            raise CounterUnavailable(str(error)) from error
        return None if count <= self._uses_max else max(left_ms, 1) / 1000

    async def forget(self, key: str) -> None:
        """The next use is the first of a new window.

        Raises:
            CounterUnavailable: no answer within the timeout. The key may have been forgotten.
        """
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._client.delete(f"casino:{self._area}:{key}")
        except (RedisError, OSError, TimeoutError) as error:
            raise CounterUnavailable(str(error)) from error
