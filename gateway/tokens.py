"""Access tokens: short-lived JWTs (HS256) that name a user and their role.

Owns their making and checking: signature, times, shape, and whether they were voided since. Keys
come from the key ring. Which users exist, and who gets a token, is not its business.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import jwt
import msgspec

from gateway.key_ring import KeyRing
from gateway.revocations import BAN, Revocations
from gateway.roles import Role
from runtime.clock import Clock

LEEWAY_S = 5
"""How far the clocks of two gateways may be apart."""

_ALGORITHM = "HS256"
_TOKEN_CHARS_MAX = 2048
_REQUIRED = ("exp", "iat", "sub", "typ", "role")


class TokenError(Exception):
    """The token does not let its bearer in. ``code`` goes to the client."""

    code = "token_invalid"


class TokenInvalid(TokenError):
    """Forged, malformed, of another kind, or signed with a key that is not ours (any more)."""


class TokenExpired(TokenError):
    """It was good once."""

    code = "token_expired"


class TokenRevoked(TokenError):
    """Its time is not over, but the user was signed out: a new password, another role, a reused
    refresh token."""

    code = "token_revoked"


class UserBanned(TokenError):
    """It was good until its user was banned."""

    code = "banned"


class _Claims(msgspec.Struct):
    sub: str
    typ: Literal["access"]
    role: Role
    exp: int
    iat: int


class IssuedToken(NamedTuple):
    token: str
    expires_in: int
    """Seconds."""


class Bearer(NamedTuple):
    """Whom a good token names."""

    user_id: str
    role: Role
    issued_s: int
    """Seconds since the Unix epoch."""
    expires_s: int
    """In the same unit; for the sake of other clocks it is believed for ``LEEWAY_S`` longer."""


class AccessTokens:
    """Issues and verifies. Times are wall-clock times of the injected clock."""

    def __init__(self, keys: KeyRing, clock: Clock, lifetime_s: int = 900, leeway_s: int = LEEWAY_S) -> None:
        self._keys = keys
        self._clock = clock
        self._lifetime_s = lifetime_s
        self._leeway_s = leeway_s
        self.revocations = Revocations(clock, kept_s=lifetime_s + 2 * leeway_s)
        """What voids tokens. Somebody has to fill it."""

    def issue(
        self,
        user_id: str,
        role: Role = Role.STANDARD,
        issued_s: int | None = None,
        lifetime_s: int | None = None,
    ) -> IssuedToken:
        """A token as of ``issued_s``, by default now.

        Whoever issues one on the word of the database passes the database's time: then every
        revocation after that word voids the token, and none before it.
        """
        if issued_s is None:
            issued_s = self._clock.now_ms() // 1000
        lifetime_s = min(lifetime_s or self._lifetime_s, self._lifetime_s)
        claims = {
            "sub": user_id,
            "typ": "access",
            "role": role.value,
            "iat": issued_s,
            "exp": issued_s + lifetime_s,
        }
        kid, key = self._keys.active
        return IssuedToken(jwt.encode(claims, key, _ALGORITHM, headers={"kid": kid}), lifetime_s)

    def verify(self, token: str) -> Bearer:
        """Whom the token names.

        Raises:
            TokenExpired: it is genuine and past its time.
            TokenRevoked: it is genuine and was voided.
            UserBanned: so is its user.
            TokenInvalid: anything else.
        """
        claims = self._genuine_claims(token)
        now_s = self._clock.now_ms() // 1000
        # Revocations are forgotten after a lifetime. Where lifetimes were longer once, old tokens go by
        # the new one, too.
        expires_s = min(claims.exp, claims.iat + self._lifetime_s)
        if now_s >= expires_s + self._leeway_s:
            raise TokenExpired("past its time")
        if claims.iat > now_s + self._leeway_s:
            raise TokenInvalid("issued in the future")
        verdict = self.revocations.verdict(claims.sub, claims.iat)
        if verdict is not None:
            raise UserBanned(verdict.because) if verdict.because == BAN else TokenRevoked(verdict.because)
        return Bearer(claims.sub, claims.role, claims.iat, expires_s)

    def _genuine_claims(self, token: str) -> _Claims:
        if len(token) > _TOKEN_CHARS_MAX:
            raise TokenInvalid("too long")
        try:
            kid = jwt.get_unverified_header(token).get("kid")
            key = self._keys.key(kid) if isinstance(kid, str) else None
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
