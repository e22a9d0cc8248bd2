"""Guessing at a password: so many attempts, then nobody gets to try for a while.

Owns the order of the counters. An attempt counts before its password is looked at, so that however
many come at once, no more than ``ATTEMPTS_MAX`` passwords are hashed.
"""

from __future__ import annotations

import hashlib
import logging

from gateway.ports import LoginAttempts
from runtime.errors import CommandError

_log = logging.getLogger(__name__)

ATTEMPTS_MAX = 5
WINDOW_S = 600.0


class Lockout:
    """``attempts`` has the last word. ``gate`` may be forgotten or away: it counts the same attempts,
    and spares the database those of names that are locked already."""

    def __init__(self, attempts: LoginAttempts, gate: LoginAttempts | None = None) -> None:
        self._attempts = attempts
        self._gate = gate

    async def count(self, username: str) -> float | None:
        """Count an attempt on this name, whether or not anybody has it. None when it may be made, else
        the seconds until the next one may. Raises ``runtime.errors.Unavailable``."""
        key = key_of(username)
        locked_s = await self._count_at_gate(key)
        if locked_s is not None:
            return locked_s
        return await self._attempts.count(key, ATTEMPTS_MAX, WINDOW_S)

    async def reset(self, username: str) -> None:
        """The password was right: the next attempt is the first. Raises ``runtime.errors.Unavailable``."""
        await self._attempts.reset(key_of(username))
        await self.forget(username)

    async def forget(self, *usernames: str) -> None:
        """Have the gate forget these names, if it can: in any case it does when their windows end."""
        if self._gate is None:
            return
        for username in usernames:
            try:
                await self._gate.reset(key_of(username))
            except CommandError as error:
                _log.warning("login gate not reset", extra={"reason": str(error)})

    async def _count_at_gate(self, key: bytes) -> float | None:
        if self._gate is None:
            return None
        try:
            return await self._gate.count(key, ATTEMPTS_MAX, WINDOW_S)
        except CommandError as error:
            _log.warning("logins counted without their gate", extra={"reason": str(error)})
            return None


def key_of(username: str) -> bytes:
    """What a name is counted under: no counter has to know names."""
    return hashlib.sha256(username.lower().encode()).digest()
