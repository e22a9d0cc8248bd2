"""Looking at a password: what has to be asked before, and what comes after.

Owns the order, which is the whole protection: the address' share first, then a place for the hash, then
the attempt, and only then the password. Whoever is turned away at one of them has cost nobody what comes
after it: a flood from one address takes no places, and a full pool locks nobody out.
"""

from __future__ import annotations

import logging
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus

from fastapi import Request
from pydantic import SecretStr

from gateway.dependencies import GatewayDependencies
from gateway.lockout import Lockout
from gateway.passwords import Place
from gateway.problems import Problem
from gateway.request_limits import count_password

_log = logging.getLogger(__name__)


def own_key(user_id: str) -> str:
    """What guesses at the password of somebody who is signed in are counted under. Not under the name:
    whoever knows that could keep its owner from changing the password, and a thief of a token the owner
    from logging in. No name has a colon."""
    return f"password:{user_id}"


class Attempt:
    """One attempt, which has been counted."""

    def __init__(self, lockout: Lockout, key: str, place: Place) -> None:
        self._lockout = lockout
        self._key = key
        self._place = place

    async def is_right(self, password: SecretStr, password_hash: str | None) -> bool:
        """A right one gives all attempts back. None for a hash is as much work, and False.

        Raises ``runtime.errors.Unavailable``.
        """
        if not await self._place.verify(password.get_secret_value(), password_hash):
            return False
        await self._lockout.reset(self._key)
        return True

    async def hash(self, password: SecretStr) -> str:
        """Of another password, in the same place."""
        return await self._place.hash(password.get_secret_value())


@asynccontextmanager
async def attempt(dependencies: GatewayDependencies, request: Request, key: str) -> AsyncIterator[Attempt]:
    """Leave to look at a password once. ``key`` names whose it is.

    Raises:
        Problem: 429, ``rate_limited`` (the address) or ``login_locked`` (the key), with Retry-After.
        Overloaded: too many are looked at already; nothing counts against the key.
        Unavailable: attempts cannot be counted.
    """
    await count_password(dependencies, request)
    door = dependencies.front_door
    with door.passwords.place() as place:
        locked_s = await door.lockout.count(key)
        if locked_s is not None:
            dependencies.fanout.counters.logins_locked += 1
            # Without the key: what people call themselves is not for the log.
            _log.warning("password attempt while locked", extra={"locked_s": round(locked_s)})
            headers = {"Retry-After": str(max(1, math.ceil(locked_s)))}
            detail = "Too many attempts. Try again later; until then no password is right."
            raise Problem(HTTPStatus.TOO_MANY_REQUESTS, "login_locked", detail, headers)
        yield Attempt(door.lockout, key, place)
