"""The access token at hand, and how to come by the next one.

Owns the choice between a token that is good still, a refresh, and a new sign-in. Never signs in as
somebody else: a guest whose refresh token is not taken any more is lost.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from clients.errors import AuthenticationFailed
from clients.sign_in import Account, log_in, refresh, sign_in_guest

TokenProvider = Callable[[], Awaitable[str]]
"""Returns a valid access token for the *same* player. Called once before the first connection,
and again whenever the server refuses the token at hand, which is how expiry shows."""

_EARLY_S = 5.0
"""So long before its end a token is not worth showing any more."""


class TokenKeeper:
    """Give exactly one of ``token``, ``guest``, ``provider``, or name and password together.

    Raises ``ValueError`` otherwise.
    """

    def __init__(
        self,
        http_url: str,
        *,
        token: str | None = None,
        guest: bool = False,
        provider: TokenProvider | None = None,
        username: str | None = None,
        password: str | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        with_password = username is not None
        if (username is None) != (password is None):
            raise ValueError("give username and password together")
        if sum((token is not None, guest, provider is not None, with_password)) != 1:
            raise ValueError(
                "give exactly one of token, guest=True, token_provider, or username and password"
            )
        self._http_url = http_url
        self._guest = guest
        self._provider = provider
        self._username = username
        self._password = password
        self._clock = clock
        self._good_until = float("inf")
        self._refresh_token: str | None = None
        self._is_fresh = False
        self._asking = asyncio.Lock()
        self.token = token
        """None before the first sign-in, and after a refusal."""
        self.user_id: str | None = None
        """Known after a sign-in."""

    def __repr__(self) -> str:
        return f"TokenKeeper({self.user_id})"

    async def current(self) -> str:
        """A token that should be good, the one at hand if possible.

        Raises:
            AuthenticationFailed: there is none to be had.
            ConnectionLost: the server cannot be reached or cannot answer now; worth another try.
        """
        async with self._asking:
            if self.token is not None and self._clock() < self._good_until:
                return self.token
            if self._provider is not None:
                self.token, self._is_fresh = await self._provider(), True
                return self.token
            account = await self._next_account()
            self.token, self._is_fresh = account.access_token, True
            self._refresh_token = account.refresh_token
            if self._refresh_token is not None:
                early_s = min(_EARLY_S, account.expires_in / 2)
                self._good_until = self._clock() + account.expires_in - early_s
            self.user_id = account.user_id
            return self.token

    def accepted(self) -> None:
        """The server took the token at hand."""
        self._is_fresh = False

    def refused(self) -> bool:
        """The server refused the token at hand. False when there is no way to a better one."""
        can_renew = (
            self._provider is not None or self._refresh_token is not None or self._username is not None
        )
        if self._is_fresh or not can_renew:
            return False
        self.token = None
        return True

    async def _next_account(self) -> Account:
        if self._refresh_token is not None:
            try:
                return await refresh(self._http_url, self._refresh_token)
            except AuthenticationFailed:
                if self._username is None:
                    raise
                # Signed out elsewhere, or too long away: the password may still be good.
                self._refresh_token = None
        if self._username is not None and self._password is not None:
            return await log_in(self._http_url, self._username, self._password)
        if not self._guest or self.user_id is not None:
            raise AuthenticationFailed("token_expired", "there is no way to another token")
        return await sign_in_guest(self._http_url)
