"""``Authorization: Bearer``: who makes an HTTP request.

Owns the reading of the header and the 401; what a token is worth is ``gateway.tokens``' business.
"""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus

from fastapi import Depends
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from gateway.problems import Problem
from gateway.tokens import AccessTokens, TokenError

_bearer = HTTPBearer(auto_error=False, description="The access token that signing in gave.")


def user_of(tokens: AccessTokens) -> Callable[[HTTPAuthorizationCredentials | None], str]:
    """A FastAPI dependency: the user id of the request's access token.

    It answers 401 (``not_authenticated``, ``token_invalid``, ``token_expired``) to everybody else.
    """

    def user(credentials: HTTPAuthorizationCredentials | None = Depends(_bearer)) -> str:
        if credentials is None:
            raise _refusal("not_authenticated", "Show an access token: Authorization: Bearer …", "Bearer")
        try:
            return tokens.verify(credentials.credentials)
        except TokenError as error:
            raise _refusal(
                error.code, "The access token is not good.", 'Bearer error="invalid_token"'
            ) from None

    return user


def _refusal(code: str, detail: str, challenge: str) -> Problem:
    return Problem(HTTPStatus.UNAUTHORIZED, code, detail, {"WWW-Authenticate": challenge})
