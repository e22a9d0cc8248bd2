"""``POST /api/auth/guest``: an account without a name, and the tokens to play with it."""

from __future__ import annotations

import base64
import ipaddress
import math
import secrets
from http import HTTPStatus

from fastapi import APIRouter, Request

from gateway.dependencies import GatewayDependencies
from gateway.openapi import ASKED, VISITED, problems
from gateway.problems import Problem
from gateway.token_pairs import TokenPair, TokenPairs

_IPV6_SITE_BITS = 64


def new_user_id() -> str:
    """128 random bits in lower-case base 32: ``u_`` and 26 characters, safe in URLs and addresses."""
    return "u_" + base64.b32encode(secrets.token_bytes(16)).decode().rstrip("=").lower()


def address_key(host: str | None) -> str:
    """What counts as one address: an IPv4 address, or the /64 that one IPv6 customer has."""
    try:
        address = ipaddress.ip_address(host or "")
    except ValueError:
        return "unknown"
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((address, _IPV6_SITE_BITS), strict=False))
    return str(address)


def guest_routes(dependencies: GatewayDependencies, pairs: TokenPairs) -> APIRouter:
    router = APIRouter(prefix="/api/auth", tags=["accounts"])

    @router.post(
        "/guest",
        status_code=HTTPStatus.CREATED,
        summary="Create a guest account",
        responses=problems(VISITED, ASKED, {403: ["guests_disabled"]}),
    )
    async def create_guest(request: Request) -> TokenPair:
        """A guest can sign up later, and keeps everything then. Until that the refresh token is the only
        way back to the account once the access token has expired."""
        if not dependencies.guests_enabled:
            raise Problem(HTTPStatus.FORBIDDEN, "guests_disabled", "This casino takes no guests.")
        key = address_key(request.client.host if request.client else None)
        retry_after = await dependencies.rate_limiter.allow(f"guest:{key}")
        if retry_after is not None:
            headers = {"Retry-After": str(max(1, math.ceil(retry_after)))}
            detail = "Too many guest accounts from this address."
            raise Problem(HTTPStatus.TOO_MANY_REQUESTS, "rate_limited", detail, headers)
        user_id = new_user_id()
        await dependencies.accounts.create_guest(user_id)
        return await pairs.begin(user_id)

    return router
