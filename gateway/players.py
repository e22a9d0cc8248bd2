"""REST of what concerns a person rather than a game: recent actions, export, and erasure."""

from __future__ import annotations

import datetime
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Response
from pydantic import BaseModel, Field

from gateway.admin import INTEGER_MAX, LedgerPage, UserId, ledger_page
from gateway.dependencies import BackOffice, GatewayDependencies
from gateway.fanout import session_of
from gateway.openapi import ADMINISTRATORS, ASKED, CHECKED, SIGNED_IN, problems, shape_named
from gateway.problems import Problem
from gateway.questions import ask
from gateway.request_limits import player_of
from gateway.roles import Role
from gateway.tokens import Bearer

_EXPORTED_ROWS = 1000


class RecentAction(BaseModel):
    action_type: str
    context: dict[str, str | int | float | bool | None]
    server_ts: int = Field(description="ms since the Unix epoch")
    client_ts: int | None = Field(default=None, description="What the client said, if it did")


class RecentActionsOfPlayer(BaseModel):
    user_id: str
    actions: list[RecentAction]
    """Newest first, at most ten."""


class ExportedAccount(BaseModel):
    user_id: str
    kind: str
    username: str | None
    role: Role
    created_at: datetime.datetime
    banned_at: datetime.datetime | None


class PersonalDataExport(BaseModel):
    """Everything that is kept about a person. Of a password there is a hash, which is not shown."""

    account: ExportedAccount
    birth_date: datetime.date | None
    password_changed_at: datetime.datetime | None
    sign_ins: list[datetime.datetime]
    """Newest first."""
    state: Annotated[dict[str, Any], shape_named("Profile")]
    """The profile, as of this moment."""
    ledger: LedgerPage


def player_routes(dependencies: GatewayDependencies, office: BackOffice) -> APIRouter:
    router = APIRouter(prefix="/api", tags=["player"])
    player = Depends(player_of(dependencies))
    actors = dependencies.router

    @router.get(
        "/actions/recent/{user_id}",
        summary="Recent actions: your own, or as an administrator anybody's",
        responses=problems(SIGNED_IN, ADMINISTRATORS, ASKED, CHECKED, {404: ["account_unknown"]}),
    )
    async def recent_actions(user_id: UserId, bearer: Bearer = player) -> RecentActionsOfPlayer:
        if user_id != bearer.user_id:
            if bearer.role is not Role.ADMIN:
                raise Problem(HTTPStatus.FORBIDDEN, "forbidden", "These are somebody else's.")
            # Whoever asks an unknown session opens it.
            if await dependencies.accounts.account(user_id) is None:
                raise Problem(HTTPStatus.NOT_FOUND, "account_unknown", "There is no such account.")
            await office.audit_log.append(bearer.user_id, "player_actions_read", user_id, {}, "")
        return RecentActionsOfPlayer(**await ask(actors, session_of(user_id), "get_recent_actions", {}))

    @router.get(
        "/users/me/export",
        summary="Everything that is kept about you",
        responses=problems(SIGNED_IN, ASKED, CHECKED, {404: ["account_unknown"]}),
    )
    async def export(
        before: Annotated[
            int | None,
            Query(ge=0, le=INTEGER_MAX, description="For the next page of the ledger: its next_before"),
        ] = None,
        bearer: Bearer = player,
    ) -> PersonalDataExport:
        user_id = bearer.user_id
        kept = await office.personal_data.export(user_id)
        if kept is None:
            raise Problem(HTTPStatus.NOT_FOUND, "account_unknown", "There is no such account.")
        rows = await office.personal_data.ledger(user_id, before, _EXPORTED_ROWS)
        state = await ask(actors, session_of(user_id), "get_profile", {})
        account = kept.account
        return PersonalDataExport(
            account=ExportedAccount(
                user_id=account.user_id,
                kind=account.kind,
                username=account.username,
                role=Role(account.role),
                created_at=account.created_at,
                banned_at=account.banned_at,
            ),
            birth_date=kept.birth_date,
            password_changed_at=kept.password_changed_at,
            sign_ins=list(kept.sign_ins),
            state=state,
            ledger=ledger_page(user_id, rows, _EXPORTED_ROWS),
        )

    @router.delete(
        "/users/me",
        status_code=HTTPStatus.NO_CONTENT,
        summary="Erase your account",
        responses=problems(SIGNED_IN, ASKED, {404: ["account_unknown"]}),
    )
    async def erase(bearer: Bearer = player) -> Response:
        """Name, password and date of birth are removed, and all tokens are void. What was played stays in
        the books, under a user id that says nothing. There is no way back."""
        await office.personal_data.erase(bearer.user_id)
        return Response(status_code=HTTPStatus.NO_CONTENT)

    return router
