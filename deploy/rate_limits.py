"""Limits that all gateways share through Redis, and that hold per gateway while Redis is away."""

from __future__ import annotations

import logging

from gateway.rate_limit import LocalRateLimiter
from persistence.redis import CounterUnavailable, WindowCounter

_log = logging.getLogger(__name__)


class SharedRateLimiter:
    """See ``gateway.ports.RateLimiter``. Losing Redis locks nobody out and lets nobody run free."""

    def __init__(self, shared: WindowCounter, local: LocalRateLimiter) -> None:
        self._shared = shared
        self._local = local

    async def allow(self, key: str) -> float | None:
        try:
            return await self._shared.allow(key)
        except CounterUnavailable as error:
            _log.warning("rate limit counted locally", extra={"reason": str(error)})
            return await self._local.allow(key)
