"""``Authorization: Bearer``: who makes an HTTP request, and whether their role lets them.

Owns the reading of the header, the 401 and the 403; what a token is worth is ``gateway.tokens``'
business.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from http import HTTPStatus

from fastapi import Depends
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from gateway.problems import Problem
from gateway.roles import Role
from gateway.tokens import AccessTokens, Bearer, TokenError, UserBanned

_bearer = HTTPBearer(auto_error=False, description="The access token that signing in gave.")


def bearer_of(tokens: AccessTokens) -> Callable[[HTTPAuthorizationCredentials | None], Awaitable[Bearer]]:
    """A FastAPI dependency: whom the request's access token names.

    It answers 401 (``not_authenticated``, ``token_invalid``, ``token_expired``, ``token_revoked``)
    to everybody else, and 403 (``banned``) to whoever was banned.
    """

    async def bearer(credentials: HTTPAuthorizationCredentials | None = Depends(_bearer)) -> Bearer:
        if credentials is None:
            raise _unauthorized(
                "not_authenticated", "Show an access token as Authorization: Bearer.", "Bearer"
            )
        return _verified(tokens, credentials)

    return bearer


def bearer_if_any(
    tokens: AccessTokens,
) -> Callable[[HTTPAuthorizationCredentials | None], Awaitable[Bearer | None]]:
    """As ``bearer_of``, but None for a request without a token. A bad token is refused all the same."""

    async def bearer(credentials: HTTPAuthorizationCredentials | None = Depends(_bearer)) -> Bearer | None:
        return None if credentials is None else _verified(tokens, credentials)

    return bearer


def user_of(tokens: AccessTokens) -> Callable[[Bearer], Awaitable[str]]:
    """A FastAPI dependency: the user id of the request's access token. Refuses as ``bearer_of``."""

    async def user(bearer: Bearer = Depends(bearer_of(tokens))) -> str:
        return bearer.user_id

    return user


def require_role(tokens: AccessTokens, *roles: Role) -> Callable[[Bearer], Awaitable[Bearer]]:
    """A FastAPI dependency: whom the access token names, if their role is one of these.

    It refuses as ``bearer_of``, and answers 403 (``forbidden``) to other roles.
    """

    async def bearer(bearer: Bearer = Depends(bearer_of(tokens))) -> Bearer:
        if bearer.role not in roles:
            raise Problem(HTTPStatus.FORBIDDEN, "forbidden", "Your role does not allow this.")
        return bearer

    return bearer


def _verified(tokens: AccessTokens, credentials: HTTPAuthorizationCredentials) -> Bearer:
    try:
        return tokens.verify(credentials.credentials)
    except UserBanned as error:
        raise Problem(HTTPStatus.FORBIDDEN, error.code, "This account is banned.") from None
    except TokenError as error:
        raise _unauthorized(
            error.code, "The access token is not good.", 'Bearer error="invalid_token"'
        ) from None


def _unauthorized(code: str, detail: str, challenge: str) -> Problem:
    return Problem(HTTPStatus.UNAUTHORIZED, code, detail, {"WWW-Authenticate": challenge})
