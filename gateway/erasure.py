"""``DELETE /api/users/me``: a person asks to be forgotten.

Owns the route, and that a token alone is not enough for what cannot be undone.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Body, Depends, Request, Response
from pydantic import BaseModel, ConfigDict

from gateway.dependencies import BackOffice, GatewayDependencies
from gateway.openapi import ASKED, CHECKED, SIGNED_IN, problems
from gateway.password_attempts import attempt, own_key
from gateway.problems import Problem
from gateway.request_limits import player_of
from gateway.sign_up import GivenPassword
from gateway.tokens import Bearer

_REFUSED = {403: ["wrong_password", "password_required"], 404: ["account_unknown"], 429: ["login_locked"]}


class Erasure(BaseModel):
    model_config = ConfigDict(extra="forbid")

    password: GivenPassword


def erasure_routes(dependencies: GatewayDependencies, office: BackOffice) -> APIRouter:
    router = APIRouter(prefix="/api", tags=["player"])
    player = Depends(player_of(dependencies))
    door = dependencies.front_door

    @router.delete(
        "/users/me",
        status_code=HTTPStatus.NO_CONTENT,
        summary="Erase your account",
        responses=problems(SIGNED_IN, ASKED, CHECKED, _REFUSED),
    )
    async def erase(
        request: Request,
        form: Annotated[Erasure | None, Body(description="Guests have no password, and need none")] = None,
        bearer: Bearer = player,
    ) -> Response:
        """Name, password and date of birth are removed, and all tokens are void. What was played stays in
        the books, under a user id that says nothing. There is no way back."""
        user_id = bearer.user_id
        found = await door.credentials.credentials_of(user_id)
        counted: list[str] = []
        if found is not None:
            counted = [found.account.username or "", own_key(user_id)]
            if form is None:
                raise Problem(HTTPStatus.FORBIDDEN, "password_required", "Give your password with it.")
            async with attempt(dependencies, request, own_key(user_id)) as one:
                if not await one.is_right(form.password, found.password_hash):
                    raise Problem(HTTPStatus.FORBIDDEN, "wrong_password", "The password is wrong.")
        await office.personal_data.erase(user_id)
        # The database has forgotten its own counts; whatever else counts has not.
        await door.lockout.forget(*counted)
        return Response(status_code=HTTPStatus.NO_CONTENT)

    return router
