"""Access tokens: short-lived JWTs (HS256) that name a user. Issued over HTTP, shown on the socket.

Owns their making and checking. Keys come from the wiring, by ``kid``, so that they can rotate:
the active one signs, all of them verify. Which users exist is not its business.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import jwt
import msgspec

from runtime.clock import Clock

_ALGORITHM = "HS256"
_KEY_BYTES_MIN = 32
_TOKEN_CHARS_MAX = 2048
_REQUIRED = ("exp", "iat", "sub", "typ")


class TokenError(Exception):
    """The token does not let its bearer in. ``code`` goes to the client."""

    code = "token_invalid"


class TokenInvalid(TokenError):
    """Forged, malformed, of another kind, or signed with a key that is not ours (any more)."""


class TokenExpired(TokenError):
    """It was good once."""

    code = "token_expired"


class _Claims(msgspec.Struct):
    sub: str
    typ: Literal["access"]
    exp: int
    iat: int


class IssuedToken(NamedTuple):
    token: str
    expires_in: int
    """Seconds."""


class AccessTokens:
    """Issues and verifies. Times are wall-clock seconds of the injected clock."""

    def __init__(
        self,
        keys: Mapping[str, bytes],
        active_kid: str,
        clock: Clock,
        lifetime_s: int = 3600,
        leeway_s: int = 5,
    ) -> None:
        """Raises ``ValueError`` for a missing active key or one of fewer than 32 bytes."""
        if active_kid not in keys:
            raise ValueError(f"no key with the active kid {active_kid!r}")
        for kid, key in keys.items():
            if len(key) < _KEY_BYTES_MIN:
                raise ValueError(f"key {kid!r} has {len(key)} bytes; at least {_KEY_BYTES_MIN} are needed")
        self._keys = dict(keys)
        self._active_kid = active_kid
        self._clock = clock
        self._lifetime_s = lifetime_s
        self._leeway_s = leeway_s

    def issue(self, user_id: str) -> IssuedToken:
        issued_at = self._clock.now_ms() // 1000
        claims = {"sub": user_id, "typ": "access", "iat": issued_at, "exp": issued_at + self._lifetime_s}
        key = self._keys[self._active_kid]
        token = jwt.encode(claims, key, algorithm=_ALGORITHM, headers={"kid": self._active_kid})
        return IssuedToken(token, self._lifetime_s)

    def verify(self, token: str) -> str:
        """The user the token names.

        Raises:
            TokenExpired: it is genuine and past its time.
            TokenInvalid: anything else.
        """
        claims = self._genuine_claims(token)
        now = self._clock.now_ms() // 1000
        if now >= claims.exp + self._leeway_s:
            raise TokenExpired("past its time")
        if claims.iat > now + self._leeway_s:
            raise TokenInvalid("issued in the future")
        return claims.sub

    def _genuine_claims(self, token: str) -> _Claims:
        if len(token) > _TOKEN_CHARS_MAX:
            raise TokenInvalid("too long")
        try:
            kid = jwt.get_unverified_header(token).get("kid")
            key = self._keys.get(kid) if isinstance(kid, str) else None
            if key is None:
                raise TokenInvalid("unknown kid")
            # Times are checked against the injected clock, not the machine's.
            options: Any = {"require": list(_REQUIRED), "verify_exp": False, "verify_iat": False}
            claims = jwt.decode(token, key, algorithms=[_ALGORITHM], options=options)
            genuine = msgspec.convert(claims, _Claims)
        except (jwt.PyJWTError, msgspec.ValidationError, ValueError, RecursionError) as error:
            raise TokenInvalid(str(error)) from None
        if not genuine.sub or "/" in genuine.sub:
            raise TokenInvalid("no user id")
        return genuine
