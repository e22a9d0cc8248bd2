"""Refresh tokens: 32 random bytes that stand for a sign-in, exchanged at each use for their successor.

Owns what a token looks like and which one succeeds it. The successor follows from the token and a key
of the house: a repeated exchange, because the reply was lost or two tabs woke up at once, gives the
same one again, and still nothing that is stored would let anybody in. See RFC 9700, section 4.14.2.

How long a token may come again is a choice between clients that lose replies and thieves. A successor
that was used has arrived, so from then on ``GRACE_S`` is for tabs and repeats under way. One that was not
used may never have arrived: the old token is all its client has, and for another 50 seconds it works.

What does somebody gain who has stolen the old token? Had they come first, they would have had a successor
without any grace. Coming second within the minute they share one with the client; but it is exchanged
once. Whoever exchanges it later than the grace after the other shows a used token, which ends the family
and voids its access tokens. To go unnoticed they must come within a minute of the client, every time, and
what that gains them over ten seconds is a looser watch on its clock. A theft after that minute, or after
the successor was used, is found out at once, as before.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from base64 import urlsafe_b64encode

from gateway.ports import GrantRecord, RefreshTokenStore

TOKEN_CHARS_MAX = 128
"""Ours have 43."""
LIFETIME_S = 30 * 86400.0
GRACE_S = 10.0
KEY_BYTES_MIN = 32


class RefreshTokens:
    def __init__(
        self,
        store: RefreshTokenStore,
        key: bytes,
        lifetime_s: float = LIFETIME_S,
        grace_s: float = GRACE_S,
    ) -> None:
        """``grace_s``: how long after its exchange a token may come again; six times as long while its
        successor was not used. Raises ``ValueError`` for a key of fewer than 32 bytes."""
        if len(key) < KEY_BYTES_MIN:
            raise ValueError(f"the refresh key has {len(key)} bytes; at least {KEY_BYTES_MIN} are needed")
        self._store = store
        self._key = key
        self._lifetime_s = lifetime_s
        self._grace_s = grace_s

    async def begin(self, user_id: str) -> tuple[str, GrantRecord]:
        """A token for a new sign-in. Raises as ``RefreshTokenStore.open``."""
        token = _text(secrets.token_bytes(32))
        return token, await self._store.open(user_id, hash_of(token), self._lifetime_s)

    async def exchange(self, token: str) -> tuple[str, GrantRecord]:
        """The token's successor. Raises as ``RefreshTokenStore.rotate``."""
        successor = self.successor(token)
        grant = await self._store.rotate(hash_of(token), hash_of(successor), self._lifetime_s, self._grace_s)
        return successor, grant

    async def end(self, token: str) -> None:
        """End the sign-in that the token is of, if it is any."""
        await self._store.revoke_family(hash_of(token))

    async def end_all(self, user_id: str) -> None:
        """End all sign-ins of the user, and void their access tokens."""
        await self._store.revoke_all(user_id)

    def successor(self, token: str) -> str:
        return _text(hmac.digest(self._key, b"next" + token.encode(), "sha256"))


def hash_of(token: str) -> bytes:
    """What is stored of a token."""
    return hashlib.sha256(token.encode()).digest()


def _text(token: bytes) -> str:
    return urlsafe_b64encode(token).decode().rstrip("=")
