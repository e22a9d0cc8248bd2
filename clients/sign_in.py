"""Addresses and sign-in: from the URL a person types to the ones the client uses, and the HTTP requests
that give tokens.

Owns one request at a time, and what its answer means. When to ask is ``token_keeper``'s business.
"""

from __future__ import annotations

import asyncio
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import httpx
import msgspec

from clients.errors import AuthenticationFailed, ConnectionLost, ProtocolViolation
from clients.protocol import GUEST_PATH, LOGIN_PATH, REFRESH_PATH, SYNC_PATH

REFRESH_TIMEOUT_S = 3.0
"""Twice that is well within the server's grace for a refresh token whose reply was lost."""

_HTTP_OF = {"ws": "http", "wss": "https", "http": "http", "https": "https"}
_WS_OF = {"ws": "ws", "wss": "wss", "http": "ws", "https": "wss"}


class Addresses(NamedTuple):
    http: str
    """Base of the REST interface, without a trailing slash."""
    sync: str
    """The WebSocket."""


class Account(msgspec.Struct):
    """The answer to a sign-in: whose it is, and the tokens. ``expires_in`` is in seconds."""

    access_token: str
    token_type: str
    expires_in: int
    user_id: str
    refresh_token: str | None = None
    """Good for one use, and for as long as the server says; None where there are none."""
    role: str = "STANDARD"


class _NotAnswered(ConnectionLost):
    """Nobody knows whether the server has heard."""


class _Problem(msgspec.Struct):
    code: str = ""
    detail: str = ""


def addresses_of(url: str) -> Addresses:
    """Accepts ``http``, ``https``, ``ws`` or ``wss``, with or without the WebSocket's path.

    Raises:
        ValueError: not such a URL.
    """
    parts = urlsplit(url if "://" in url else f"http://{url}")
    if parts.scheme not in _WS_OF or not parts.netloc:
        raise ValueError(f"not the address of a casino: {url!r}")
    prefix = parts.path.removesuffix("/").removesuffix(SYNC_PATH)
    return Addresses(
        http=f"{_HTTP_OF[parts.scheme]}://{parts.netloc}{prefix}",
        sync=f"{_WS_OF[parts.scheme]}://{parts.netloc}{prefix}{SYNC_PATH}",
    )


async def sign_in_guest(http_url: str, client: httpx.AsyncClient | None = None) -> Account:
    """Make a new guest account.

    Raises:
        AuthenticationFailed: guests are not allowed here.
        ConnectionLost: the server cannot be reached or cannot answer now; worth another try.
        ProtocolViolation: the answer is not what the protocol says.
    """
    return await _ask(f"{http_url}{GUEST_PATH}", None, client)


async def log_in(
    http_url: str, username: str, password: str, client: httpx.AsyncClient | None = None
) -> Account:
    """Sign in with name and password.

    Raises:
        AuthenticationFailed: they are wrong, there were too many attempts, or the account is banned.
        ConnectionLost, ProtocolViolation: as :func:`sign_in_guest`.
    """
    return await _ask(f"{http_url}{LOGIN_PATH}", {"username": username, "password": password}, client)


async def refresh(http_url: str, refresh_token: str, client: httpx.AsyncClient | None = None) -> Account:
    """Exchange a refresh token for the next pair of tokens. Without an answer within 3 seconds it asks
    once more, at once: the exchange may have happened, and for a while the server gives the same answer
    again. After ``ConnectionLost`` ask again soon, with the same one.

    Raises:
        AuthenticationFailed: it is not good, or not good any more: sign in again.
        ConnectionLost, ProtocolViolation: as :func:`sign_in_guest`.
    """
    url, body = f"{http_url}{REFRESH_PATH}", {"refresh_token": refresh_token}
    try:
        return await _ask(url, body, client, REFRESH_TIMEOUT_S)
    except _NotAnswered:
        return await _ask(url, body, client, REFRESH_TIMEOUT_S)


async def _ask(
    url: str, body: dict[str, Any] | None, client: httpx.AsyncClient | None, timeout_s: float | None = None
) -> Account:
    if client is None:
        async with httpx.AsyncClient(timeout=10.0) as own:
            return await _ask(url, body, own, timeout_s)
    try:
        # The whole of it: the client's own timeout is one for each step.
        async with asyncio.timeout(timeout_s):
            response = await client.post(url, json=body)
    except (httpx.TransportError, TimeoutError) as error:
        raise _NotAnswered(f"sign-in: {error!r}") from error
    status = response.status_code
    problem = _problem_of(response)
    # A lock ends by waiting only; asking again would make it look like guessing.
    if status >= 500 or (status == 429 and problem.code != "login_locked"):
        raise ConnectionLost(f"sign-in: HTTP {status}")
    if status >= 400:
        raise AuthenticationFailed(problem.code or "sign_in_refused", problem.detail or f"HTTP {status}")
    try:
        return msgspec.json.decode(response.content, type=Account)
    except msgspec.DecodeError as error:
        raise ProtocolViolation(f"sign-in: {error}") from None


def _problem_of(response: httpx.Response) -> _Problem:
    try:
        return msgspec.json.decode(response.content, type=_Problem)
    except msgspec.DecodeError:
        return _Problem()
