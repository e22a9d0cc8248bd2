"""Counts attempts to log in through Redis: for all gateways, and only as long as Redis remembers."""

from __future__ import annotations

from persistence.redis import CounterUnavailable, WindowCounter
from runtime.errors import Unavailable


class LoginGate:
    """See ``gateway.ports.LoginAttempts``. The bounds are the counter's own."""

    def __init__(self, counter: WindowCounter) -> None:
        self._counter = counter

    async def count(self, key: bytes, attempts_max: int, window_s: float) -> float | None:
        try:
            return await self._counter.allow(key.hex())
        except CounterUnavailable as error:
            raise Unavailable(str(error)) from error

    async def reset(self, key: bytes) -> None:
        try:
            await self._counter.forget(key.hex())
        except CounterUnavailable as error:
            raise Unavailable(str(error)) from error
