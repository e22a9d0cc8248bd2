"""A host's permission to speak, renewed while it is its shards' owner.

Fencing stops a replaced host from writing; the lease stops it from answering out of a memory
that may be old. It is measured from before the renewal was asked for, by a clock that runs on
while the process is stopped.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from runtime.clock import Clock
from runtime.errors import JournalError
from runtime.journal import Incarnation, Membership


class Lease:
    def __init__(
        self,
        membership: Membership,
        incarnation: Incarnation,
        lease_s: float,
        clock: Clock,
        granted_at_s: float,
        on_lost: Callable[[], None],
    ) -> None:
        self._membership = membership
        self._incarnation = incarnation
        self._lease_s = lease_s
        self._clock = clock
        self._until_s = granted_at_s + lease_s
        self._on_lost = on_lost

    def is_valid(self) -> bool:
        return self._clock.monotonic() < self._until_s

    def remaining_s(self) -> float:
        return self._until_s - self._clock.monotonic()

    async def keep(self) -> None:
        """Renew three times per lease until cancelled; call ``on_lost`` once if fenced.

        A renewal that fails is tried again: the lease then runs out by itself, and is good again
        with the next renewal that succeeds, because whoever replaces this host fences it first.
        """
        while True:
            await asyncio.sleep(self._lease_s / 3)
            asked_at_s = self._clock.monotonic()
            try:
                async with asyncio.timeout(self._lease_s):
                    renewed = await self._membership.renew(self._incarnation, self._lease_s)
            except (JournalError, TimeoutError):
                continue
            if not renewed:
                self._until_s = float("-inf")
                self._on_lost()
                return
            self._until_s = asked_at_s + self._lease_s
