"""What a gateway needs to let people in, wired: keys, stores, counters, and the pool that hashes."""

from __future__ import annotations

from collections.abc import Mapping

from deploy.key_ring import KeyFile, WatchedRing, given_ring
from deploy.login_gate import LoginGate
from gateway.dependencies import FrontDoor
from gateway.key_ring import KeyRing
from gateway.lockout import ATTEMPTS_MAX, WINDOW_S, Lockout
from gateway.passwords import Passwords
from gateway.refresh_tokens import RefreshTokens
from persistence.postgres.account_stores import AccountStores
from persistence.redis import WindowCounter
from runtime.clock import Clock


class SigningKeys:
    """The ring that signs: of keys that were ``given`` (hex by kid, the first one signs), or else of a
    file, which it follows while it runs."""

    def __init__(self, given: Mapping[str, str], file: KeyFile, clock: Clock) -> None:
        """Raises :class:`deploy.key_ring.KeyFileError`."""
        self._watched = None if given else WatchedRing(file, clock)
        self.ring: KeyRing = given_ring(given) if self._watched is None else self._watched.ring

    def start(self) -> None:
        if self._watched is not None:
            self._watched.start()

    async def stop(self) -> None:
        if self._watched is not None:
            await self._watched.stop()


def front_door(stores: AccountStores, redis_url: str, refresh_key: str) -> FrontDoor:
    """``refresh_key``: hex, at least 32 bytes, the same in every gateway."""
    counter = WindowCounter(redis_url, "login", uses_max=ATTEMPTS_MAX, window_s=WINDOW_S)
    return FrontDoor(
        credentials=stores.credentials,
        passwords=Passwords(),
        lockout=Lockout(stores.login_attempts, LoginGate(counter)),
        refresh_tokens=RefreshTokens(stores.refresh_tokens, bytes.fromhex(refresh_key)),
    )
