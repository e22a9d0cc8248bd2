"""What signing in gives: an access token to play with, and a refresh token to get the next one.

Owns the order of things: the database says who it is and which role they have, the session hears of
the role, and only then is there a token that says so.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Literal

from pydantic import BaseModel, Field

from gateway.ports import AccountRecord, GrantRecord
from gateway.problems import Problem
from gateway.refresh_tokens import RefreshTokens
from gateway.role_changes import tell_session
from gateway.roles import Role
from gateway.tokens import AccessTokens
from runtime.routing import ActorRouter

_log = logging.getLogger(__name__)

_TELL_WITHIN_S = 3.0
_UNTOLD_LIFETIME_S = 30


class TokenPair(BaseModel):
    access_token: str
    """A JWT. Show it as ``Authorization: Bearer``, and in ``authenticate`` on the socket."""
    refresh_token: str
    """Opaque, good for one use at ``/api/auth/refresh``."""
    token_type: Literal["bearer"] = "bearer"  # noqa: S105 — the scheme, no secret
    expires_in: int = Field(description="Seconds until the access token expires")
    user_id: str
    role: Role


class TokenPairs:
    def __init__(self, access: AccessTokens, refresh: RefreshTokens, router: ActorRouter) -> None:
        self._access = access
        self._refresh = refresh
        self._router = router

    async def begin(self, user_id: str) -> TokenPair:
        """Sign the user in.

        Raises:
            Rejected: ``account_unknown``, ``banned``.
            Problem, Unavailable: not now.
        """
        token, grant = await self._refresh.begin(user_id)
        await self._tell_role(grant.account)
        return self._pair(token, grant)

    async def renew(self, refresh_token: str) -> TokenPair:
        """The next pair of the same sign-in.

        Raises:
            Rejected: ``refresh_invalid``, ``refresh_expired``, ``refresh_revoked``, ``refresh_reused``,
                ``banned``.
            Unavailable: not now.
        """
        token, grant = await self._refresh.exchange(refresh_token)
        lifetime_s = None
        try:
            async with asyncio.timeout(_TELL_WITHIN_S):
                await self._tell_role(grant.account)
        except (Problem, TimeoutError):
            # The exchange has happened: without its answer the client would come with the old token
            # again, too late, and be taken for a thief. A short token brings it back soon instead.
            _log.warning("a session could not be told its role")
            lifetime_s = _UNTOLD_LIFETIME_S
        return self._pair(token, grant, lifetime_s)

    async def end(self, refresh_token: str) -> None:
        """Sign out. Raises ``Unavailable``."""
        await self._refresh.end(refresh_token)

    async def end_all(self, user_id: str) -> None:
        """Sign out everywhere. Raises ``Unavailable``."""
        await self._refresh.end_all(user_id)

    async def _tell_role(self, account: AccountRecord) -> None:
        await tell_session(self._router, account.user_id, account.role, account.role_changes)

    def _pair(self, token: str, grant: GrantRecord, lifetime_s: int | None = None) -> TokenPair:
        account = grant.account
        role = Role(account.role)
        issued_s = int(grant.issued_at.timestamp())
        issued = self._access.issue(account.user_id, role, issued_s, lifetime_s)
        return TokenPair(
            access_token=issued.token,
            refresh_token=token,
            expires_in=issued.expires_in,
            user_id=account.user_id,
            role=role,
        )
