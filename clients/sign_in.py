"""Addresses and tokens: from the URL a person types to the ones the client uses, and guest sign-in."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import urlsplit

import httpx
import msgspec

from clients.errors import AuthenticationFailed, ConnectionLost, ProtocolViolation
from clients.protocol import GUEST_PATH, SYNC_PATH

_HTTP_OF = {"ws": "http", "wss": "https", "http": "http", "https": "https"}
_WS_OF = {"ws": "ws", "wss": "wss", "http": "ws", "https": "wss"}


class Addresses(NamedTuple):
    http: str
    """Base of the REST interface, without a trailing slash."""
    sync: str
    """The WebSocket."""


class GuestAccount(msgspec.Struct):
    """The answer to a guest sign-in. ``expires_in`` is in seconds."""

    access_token: str
    token_type: str
    expires_in: int
    user_id: str


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


async def sign_in_guest(http_url: str, client: httpx.AsyncClient | None = None) -> GuestAccount:
    """Make a new guest account.

    Raises:
        AuthenticationFailed: guests are not allowed here.
        ConnectionLost: the server cannot be reached or cannot answer now; worth another try.
        ProtocolViolation: the answer is not what the protocol says.
    """
    if client is None:
        async with httpx.AsyncClient(timeout=10.0) as own:
            return await sign_in_guest(http_url, own)
    try:
        response = await client.post(f"{http_url}{GUEST_PATH}")
    except httpx.TransportError as error:
        raise ConnectionLost(f"guest sign-in: {error!r}") from error
    if response.status_code == 429 or response.status_code >= 500:
        raise ConnectionLost(f"guest sign-in: HTTP {response.status_code}")
    if response.status_code >= 400:
        raise AuthenticationFailed("guest_refused", f"HTTP {response.status_code}: {response.text[:200]}")
    try:
        return msgspec.json.decode(response.content, type=GuestAccount)
    except msgspec.DecodeError as error:
        raise ProtocolViolation(f"guest sign-in: {error}") from None
