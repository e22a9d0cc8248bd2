"""The access token at hand, and how to come by the next one.

Owns the choice between a token that is good still, a refresh, and a new sign-in, and when that is due.
Never signs in as somebody else: a guest whose refresh token is not taken any more is lost.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import httpx

from clients.backoff import Backoff
from clients.errors import AuthenticationFailed, ClientError, ConnectionLost
from clients.sign_in import Account, log_in, refresh, sign_in_guest

TokenProvider = Callable[[], Awaitable[str]]
"""Returns a valid access token for the *same* player. Called once before the first connection,
and again whenever the server refuses the token at hand, which is how expiry shows."""

_EARLY_S = 5.0
"""So long before its end a token is not worth showing any more."""


class TokenKeeper:
    """Give exactly one of ``token``, ``guest``, ``provider``, ``account`` (a sign-in that has happened a
    moment ago), or name and password together.

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
        account: Account | None = None,
        http: httpx.AsyncClient | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        with_password = username is not None
        if (username is None) != (password is None):
            raise ValueError("give username and password together")
        ways = (token is not None, guest, provider is not None, account is not None, with_password)
        if sum(ways) != 1:
            raise ValueError(
                "give exactly one of token, guest=True, token_provider, or username and password"
            )
        self._http_url = http_url
        self._guest = guest
        self._provider = provider
        self._username = username
        self._password = password
        self._http = http
        self._clock = clock
        self._sleep = sleep
        self._good_until = float("inf")
        self._refresh_token: str | None = None
        self._is_fresh = False
        self._asking = asyncio.Lock()
        self.token = token
        """None before the first sign-in, and after a refusal."""
        self.user_id: str | None = None
        """Known after a sign-in."""
        if account is not None:
            self._take(account)

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
            self._take(await self._next_account())
            assert self.token is not None
            return self.token

    @property
    def is_due(self) -> bool:
        """Whether :meth:`current` would ask for another token."""
        return self.token is None or self._clock() >= self._good_until

    async def keep_current(self, shown: str, show: Callable[[str], Awaitable[None]]) -> None:
        """To somebody who was ``shown`` a token, ``show`` each next one as soon as it is due, until there
        is none to be had. Returns at once where tokens are not renewed here."""
        backoff = Backoff(base_s=0.5, ceiling_s=5.0)
        while self._good_until < float("inf"):
            await self._sleep(max(0.0, self._good_until - self._clock()))
            try:
                token = await self.current()
            except ConnectionLost:
                await self._sleep(backoff.next_s())
                continue
            except ClientError:
                return
            backoff.reset()
            if token != shown:
                shown = token
                await show(token)

    def _take(self, account: Account) -> None:
        self.token, self._is_fresh = account.access_token, True
        self._refresh_token = account.refresh_token
        self._good_until = float("inf")
        if self._refresh_token is not None:
            early_s = min(_EARLY_S, account.expires_in / 2)
            self._good_until = self._clock() + account.expires_in - early_s
        self.user_id = account.user_id

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
                return await refresh(self._http_url, self._refresh_token, self._http)
            except AuthenticationFailed:
                if self._username is None:
                    raise
                # Signed out elsewhere, or too long away: the password may still be good.
                self._refresh_token = None
        if self._username is not None and self._password is not None:
            return await log_in(self._http_url, self._username, self._password, self._http)
        if not self._guest or self.user_id is not None:
            raise AuthenticationFailed("token_expired", "there is no way to another token")
        return await sign_in_guest(self._http_url, self._http)
