"""``/api/auth/login``, ``refresh``, ``logout`` (and ``-everywhere``), ``password``, ``me``: the life of a
sign-in.

Owns the routes, and that whoever guesses learns nothing: neither which names there are, nor by how much
a password was wrong, nor any of it faster than the lockout allows.
"""

from __future__ import annotations

import logging
from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from gateway.dependencies import GatewayDependencies
from gateway.fanout import session_of
from gateway.openapi import ASKED, CHECKED, SIGNED_IN, VISITED, problems
from gateway.password_attempts import attempt, own_key
from gateway.problems import Problem
from gateway.refresh_tokens import TOKEN_CHARS_MAX
from gateway.refusals import refusals_as_problems
from gateway.request_limits import player_of, visitor_of
from gateway.roles import Role
from gateway.sign_up import GivenPassword, NewPassword, Secret, Username
from gateway.token_pairs import TokenPair, TokenPairs
from gateway.tokens import Bearer

_log = logging.getLogger(__name__)


class Login(BaseModel):
    model_config = ConfigDict(extra="forbid")

    username: Username
    password: GivenPassword


class RefreshToken(BaseModel):
    model_config = ConfigDict(extra="forbid")

    refresh_token: Annotated[Secret, Field(min_length=1, max_length=TOKEN_CHARS_MAX)]


class NewPasswordForOld(BaseModel):
    model_config = ConfigDict(extra="forbid")

    old_password: GivenPassword
    new_password: NewPassword


class Account(BaseModel):
    user_id: str
    kind: Literal["guest", "full"]
    username: str | None
    """Null for guests."""
    role: Role
    created_at: datetime


def session_routes(dependencies: GatewayDependencies, pairs: TokenPairs) -> APIRouter:
    router = APIRouter(prefix="/api/auth", tags=["accounts"])
    door = dependencies.front_door
    counters = dependencies.fanout.counters
    visitor = Depends(visitor_of(dependencies))
    player = Depends(player_of(dependencies))

    @router.post(
        "/login",
        summary="Sign in",
        responses=problems(
            VISITED,
            ASKED,
            CHECKED,
            {401: ["wrong_credentials", "account_unknown"], 403: ["banned"], 429: ["login_locked"]},
        ),
        dependencies=[visitor],
    )
    async def log_in(request: Request, form: Login) -> TokenPair:
        async with attempt(dependencies, request, form.username) as one:
            found = await door.credentials.credentials(form.username)
            password_hash = found.password_hash if found is not None else None
            is_right = await one.is_right(form.password, password_hash)
        if found is None or not is_right:
            counters.logins_failed += 1
            _log.info("sign-in refused", extra={"code": "wrong_credentials"})
            raise Problem(
                HTTPStatus.UNAUTHORIZED,
                "wrong_credentials",
                "The name, the password or both are wrong.",
                {"WWW-Authenticate": "Bearer"},
            )
        counters.logins_succeeded += 1
        with refusals_as_problems():
            pair = await pairs.begin(found.account.user_id)
        _log.info("signed in", extra={"actor": session_of(pair.user_id)})
        return pair

    @router.post(
        "/refresh",
        summary="Get the next tokens",
        responses=problems(
            VISITED,
            ASKED,
            CHECKED,
            {
                401: ["refresh_invalid", "refresh_expired", "refresh_revoked", "refresh_reused"],
                403: ["banned"],
            },
        ),
        dependencies=[visitor],
    )
    async def refresh(form: RefreshToken) -> TokenPair:
        """Each refresh token is good once; asked again within 10 seconds, or within a minute while its
        successor was not used, it gives the same successor. Used once more after that, it ends the
        sign-in, and all tokens that came of it."""
        with refusals_as_problems():
            return await pairs.renew(form.refresh_token.get_secret_value())

    @router.post(
        "/logout",
        status_code=HTTPStatus.NO_CONTENT,
        summary="Sign out",
        responses=problems(VISITED, ASKED, CHECKED),
        dependencies=[visitor],
    )
    async def log_out(form: RefreshToken) -> Response:
        """Ends the sign-in that the refresh token is of. The last access token lives out its minutes."""
        await pairs.end(form.refresh_token.get_secret_value())
        return Response(status_code=HTTPStatus.NO_CONTENT)

    @router.post(
        "/logout-everywhere",
        status_code=HTTPStatus.NO_CONTENT,
        summary="Sign out everywhere",
        responses=problems(SIGNED_IN, ASKED),
    )
    async def log_out_everywhere(bearer: Bearer = player) -> Response:
        """Ends all your sign-ins, this one, too, and within a second every token and socket of theirs."""
        await pairs.end_all(bearer.user_id)
        return Response(status_code=HTTPStatus.NO_CONTENT)

    @router.get("/me", summary="Who am I?", responses=problems(SIGNED_IN, ASKED, {401: ["account_unknown"]}))
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

    @router.post(
        "/password",
        summary="Change your password",
        responses=problems(
            SIGNED_IN,
            ASKED,
            CHECKED,
            {
                401: ["account_unknown"],
                403: ["wrong_password"],
                409: ["no_password", "password_changed"],
                429: ["login_locked"],
            },
        ),
    )
    async def change_password(
        request: Request, form: NewPasswordForOld, bearer: Bearer = player
    ) -> TokenPair:
        """Ends all other sign-ins, and all tokens that came of them."""
        found = await door.credentials.credentials_of(bearer.user_id)
        if found is None:
            raise Problem(HTTPStatus.CONFLICT, "no_password", "A guest has no password: sign up first.")
        async with attempt(dependencies, request, own_key(bearer.user_id)) as one:
            if not await one.is_right(form.old_password, found.password_hash):
                raise Problem(HTTPStatus.FORBIDDEN, "wrong_password", "The old password is wrong.")
            password_hash = await one.hash(form.new_password)
        with refusals_as_problems():
            await door.credentials.change_password(bearer.user_id, found.password_hash, password_hash)
            return await pairs.begin(bearer.user_id)

    return router
