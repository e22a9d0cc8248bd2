"""``GET /api/actions/recent/{user_id}``: what a player did lately."""

from __future__ import annotations

from http import HTTPStatus

from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field

from gateway.admin import UserId, refuse_while_deaf
from gateway.dependencies import BackOffice, GatewayDependencies
from gateway.fanout import session_of
from gateway.openapi import ADMINISTRATORS, ASKED, CHECKED, SIGNED_IN, problems
from gateway.problems import Problem
from gateway.questions import ask
from gateway.request_limits import player_of
from gateway.roles import Role
from gateway.tokens import Bearer


class RecentAction(BaseModel):
    action_type: str
    context: dict[str, str | int | float | bool | None]
    server_ts: int = Field(description="ms since the Unix epoch")
    client_ts: int | None = Field(default=None, description="What the client said, if it did")


class RecentActionsOfPlayer(BaseModel):
    user_id: str
    actions: list[RecentAction]
    """Newest first, at most ten."""


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
            refuse_while_deaf(dependencies)
            if await dependencies.accounts.account(user_id) is None:
                raise Problem(HTTPStatus.NOT_FOUND, "account_unknown", "There is no such account.")
            await office.audit_log.append(bearer.user_id, "player_actions_read", user_id, {}, "")
            # Whoever asks a session that was never opened opens it.
            if not await office.players.has_session(user_id):
                return RecentActionsOfPlayer(user_id=user_id, actions=[])
        return RecentActionsOfPlayer(**await ask(actors, session_of(user_id), "get_recent_actions", {}))

    return router
