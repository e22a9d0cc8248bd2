"""What the gateway needs from outside and the wiring provides. Interfaces only."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

ReadinessCheck = Callable[[], Awaitable[str | None]]
"""None when all is well, else the reason why this gateway should get no traffic."""


class AccountStore(Protocol):
    async def create_guest(self, user_id: str) -> None:
        """Make a guest account durable. Raises ``runtime.errors.CommandError`` when it cannot."""
        ...


class RateLimiter(Protocol):
    async def allow(self, key: str) -> float | None:
        """Count one use of ``key``. None when allowed, else the seconds until it is worth trying."""
        ...
