"""``/api/auth/login``, ``refresh``, ``logout``, ``password`` and ``me``: the life of a sign-in.

Owns the routes, and that whoever guesses learns nothing: neither which names there are, nor by how much
a password was wrong, nor any of it faster than the lockout allows.
"""

from __future__ import annotations

import math
from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel, ConfigDict, Field, SecretStr

from gateway.dependencies import GatewayDependencies
from gateway.ports import CredentialsRecord
from gateway.problems import Problem, ProblemDocument
from gateway.refresh_tokens import TOKEN_CHARS_MAX
from gateway.refusals import refusals_as_problems
from gateway.request_limits import player_of, visitor_of
from gateway.roles import Role
from gateway.sign_up import PASSWORD_CHARS_MAX, NewPassword, Secret, Username
from gateway.token_pairs import TokenPair, TokenPairs
from gateway.tokens import Bearer

_GivenPassword = Annotated[Secret, Field(min_length=1, max_length=PASSWORD_CHARS_MAX)]


class Login(BaseModel):
    model_config = ConfigDict(extra="forbid")

    username: Username
    password: _GivenPassword


class RefreshToken(BaseModel):
    model_config = ConfigDict(extra="forbid")

    refresh_token: Annotated[Secret, Field(min_length=1, max_length=TOKEN_CHARS_MAX)]


class NewPasswordForOld(BaseModel):
    model_config = ConfigDict(extra="forbid")

    old_password: _GivenPassword
    new_password: NewPassword


class Account(BaseModel):
    user_id: str
    kind: Literal["guest", "full"]
    username: str | None
    """Null for guests."""
    role: Role
    created_at: datetime


def _answers(*statuses: int) -> dict[int | str, dict[str, Any]]:
    return {status: {"model": ProblemDocument} for status in statuses}


def session_routes(dependencies: GatewayDependencies, pairs: TokenPairs) -> APIRouter:
    router = APIRouter(prefix="/api/auth", tags=["accounts"], responses=_answers(401, 429, 503))
    door = dependencies.front_door
    visitor = Depends(visitor_of(dependencies))
    player = Depends(player_of(dependencies))

    async def is_right(username: str, password: SecretStr, found: CredentialsRecord | None) -> bool:
        """Look at a password, if there is an attempt left; a right one gives them all back."""
        given = password.get_secret_value()
        if not await door.passwords.verify(given, found.password_hash if found is not None else None):
            return False
        await door.lockout.reset(username)
        return True

    async def take_attempt(username: str) -> None:
        # What would not be looked at shall not count: a flood must not lock everybody out.
        door.passwords.check_room()
        locked_s = await door.lockout.count(username)
        if locked_s is not None:
            headers = {"Retry-After": str(max(1, math.ceil(locked_s)))}
            detail = "Too many attempts. Try again later; until then no password is right."
            raise Problem(HTTPStatus.TOO_MANY_REQUESTS, "login_locked", detail, headers)

    @router.post("/login", summary="Sign in", responses=_answers(403), dependencies=[visitor])
    async def log_in(form: Login) -> TokenPair:
        await take_attempt(form.username)
        found = await door.credentials.credentials(form.username)
        if not await is_right(form.username, form.password, found) or found is None:
            raise Problem(
                HTTPStatus.UNAUTHORIZED,
                "wrong_credentials",
                "The name, the password or both are wrong.",
                {"WWW-Authenticate": "Bearer"},
            )
        with refusals_as_problems():
            return await pairs.begin(found.account.user_id)

    @router.post("/refresh", summary="Get the next tokens", responses=_answers(403), dependencies=[visitor])
    async def refresh(form: RefreshToken) -> TokenPair:
        """Each refresh token is good once; asked again within 10 seconds, it gives the same successor.
        Used once more after that, it ends the sign-in, and all tokens that came of it."""
        with refusals_as_problems():
            return await pairs.renew(form.refresh_token.get_secret_value())

    @router.post("/logout", status_code=HTTPStatus.NO_CONTENT, summary="Sign out", dependencies=[visitor])
    async def log_out(form: RefreshToken) -> Response:
        """Ends the sign-in that the refresh token is of. The last access token lives out its minutes."""
        await pairs.end(form.refresh_token.get_secret_value())
        return Response(status_code=HTTPStatus.NO_CONTENT)

    @router.get("/me", summary="Who am I?", responses=_answers(403))
    async def me(bearer: Bearer = player) -> Account:
        account = await dependencies.accounts.account(bearer.user_id)
        if account is None or account.kind == "erased":
            raise Problem(
                HTTPStatus.UNAUTHORIZED,
                "account_unknown",
                "There is no such account (any more).",
                {"WWW-Authenticate": "Bearer"},
            )
        return Account(
            user_id=account.user_id,
            kind="guest" if account.kind == "guest" else "full",
            username=account.username,
            role=Role(account.role),
            created_at=account.created_at,
        )

    @router.post("/password", summary="Change your password", responses=_answers(403, 409))
    async def change_password(form: NewPasswordForOld, bearer: Bearer = player) -> TokenPair:
        """Ends all other sign-ins, and all tokens that came of them."""
        found = await door.credentials.credentials_of(bearer.user_id)
        if found is None or found.account.username is None:
            raise Problem(HTTPStatus.CONFLICT, "no_password", "A guest has no password: sign up first.")
        await take_attempt(found.account.username)
        if not await is_right(found.account.username, form.old_password, found):
            raise Problem(HTTPStatus.FORBIDDEN, "wrong_password", "The old password is wrong.")
        password_hash = await door.passwords.hash(form.new_password.get_secret_value())
        with refusals_as_problems():
            await door.credentials.change_password(bearer.user_id, found.password_hash, password_hash)
            return await pairs.begin(bearer.user_id)

    return router
