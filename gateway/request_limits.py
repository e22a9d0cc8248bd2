"""How many HTTP requests a user, or an address, may make: FastAPI dependencies that count and refuse.

Owns the keys that are counted and the 429. How counting works is the limiter's business.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from http import HTTPStatus

from fastapi import Depends, Request

from gateway.authentication import bearer_of, require_role
from gateway.dependencies import GatewayDependencies
from gateway.guests import address_key
from gateway.ports import RateLimiter
from gateway.problems import Problem
from gateway.roles import Role
from gateway.tokens import Bearer


def player_of(dependencies: GatewayDependencies, *roles: Role) -> Callable[..., Awaitable[Bearer]]:
    """A FastAPI dependency: whom the request's token names, counted.

    Without ``roles`` everybody who is signed in may; else 403 for other roles. See
    ``gateway.authentication`` for its refusals; besides 429 ``rate_limited``.
    """
    tokens = dependencies.tokens
    authenticated = require_role(tokens, *roles) if roles else bearer_of(tokens)

    async def player(bearer: Bearer = Depends(authenticated)) -> Bearer:
        await count(dependencies.user_rate, f"user:{bearer.user_id}")
        return bearer

    return player


def visitor_of(dependencies: GatewayDependencies) -> Callable[[Request], Awaitable[None]]:
    """A FastAPI dependency for routes that need no account: the address is counted."""

    async def visitor(request: Request) -> None:
        await count(dependencies.address_rate, f"address:{_address_of(request)}")

    return visitor


async def count_password(dependencies: GatewayDependencies, request: Request) -> None:
    """Count a password that is about to be hashed, by address: each costs as much as a thousand other
    requests.

    Raises:
        Problem: 429 ``rate_limited``, with Retry-After.
    """
    await count(dependencies.password_rate, f"password:{_address_of(request)}")


async def count(limiter: RateLimiter | None, key: str) -> None:
    """Count one use.

    Raises:
        Problem: 429 ``rate_limited``, with Retry-After.
    """
    retry_after = None if limiter is None else await limiter.allow(key)
    if retry_after is not None:
        headers = {"Retry-After": str(max(1, math.ceil(retry_after)))}
        raise Problem(HTTPStatus.TOO_MANY_REQUESTS, "rate_limited", "Too many requests.", headers)


def _address_of(request: Request) -> str:
    return address_key(request.client.host if request.client else None)
