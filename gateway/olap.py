"""``/api/olap/health``: do events get through to analytics, and where do they stand?

Anybody may learn whether they do. Positions, errors and lags of single processes are for administrators,
and so are the latest messages, which tell what players did: reading those leaves its row in the audit log.
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, Field

from gateway.admin import refuse_while_deaf
from gateway.authentication import bearer_if_any
from gateway.dependencies import GatewayDependencies
from gateway.metrics_global import RELAY, SINK, Overview
from gateway.openapi import ASKED, VISITED, problems
from gateway.problems import Problem
from gateway.request_limits import visitor_of
from gateway.roles import Role
from gateway.tokens import Bearer

LAG_MAX_S = 60.0
"""Events that are further behind are late."""

RECENT = "recent"
"""In a status: the latest messages."""

_RESPONSES = problems(
    VISITED,
    ASKED,
    {401: ["token_invalid", "token_expired", "token_revoked"], 403: ["banned", "forbidden"]},
)


class OlapHealth(BaseModel):
    status: Literal["ok", "late", "unknown"] = Field(
        description="`late`: events are more than a minute behind. `unknown`: nobody moves them on now."
    )
    relay: dict[str, Any] | None = Field(
        default=None, description="What the relay says of itself; for administrators"
    )
    sink: dict[str, Any] | None = Field(
        default=None,
        description="The same of the sink, where there is one: lag, rows, errors; for administrators",
    )
    recent: list[Any] | None = Field(
        default=None, description="The latest that reached analytics, newest last, when an administrator asks"
    )


def olap_routes(dependencies: GatewayDependencies, overview: Overview) -> APIRouter:
    router = APIRouter(prefix="/api/olap", tags=["operations"])
    office = dependencies.back_office

    @router.get(
        "/health",
        summary="Do events get through to analytics?",
        responses=_RESPONSES,
        dependencies=[Depends(visitor_of(dependencies))],
        # Added to what an administrator's token asks for: it may be left out.
        openapi_extra={"security": [{}]},
    )
    async def olap_health(
        recent: Annotated[bool, Query(description="With the latest messages; for administrators")] = False,
        bearer: Bearer | None = Depends(bearer_if_any(dependencies.tokens)),
    ) -> OlapHealth:
        """More for administrators, who show their token."""
        is_administrator = bearer is not None and bearer.role is Role.ADMIN
        if recent and not is_administrator:
            raise Problem(HTTPStatus.FORBIDDEN, "forbidden", "The latest messages are for administrators.")
        living = await overview.living()
        relay, sink = living.get(RELAY), living.get(SINK)
        health = OlapHealth(status=_status(relay, sink))
        if bearer is None or not is_administrator:
            return health
        refuse_while_deaf(dependencies)
        health.relay, health.sink = _without_recent(relay), _without_recent(sink)
        if recent:
            if office is not None:
                await office.audit_log.append(bearer.user_id, "read_recent_messages", "", {}, "")
            health.recent = list((sink or relay or {}).get(RECENT, ()))
        return health

    return router


def _status(
    relay: Mapping[str, Any] | None, sink: Mapping[str, Any] | None
) -> Literal["ok", "late", "unknown"]:
    movers = [relay, sink] if relay is None or relay.get("has_bus") else [relay]
    lags_s = [said.get("lag_seconds") for said in movers if said is not None]
    if len(lags_s) < len(movers) or None in lags_s:
        return "unknown"
    return "late" if max(lag_s for lag_s in lags_s if lag_s is not None) > LAG_MAX_S else "ok"


def _without_recent(said: Mapping[str, Any] | None) -> dict[str, Any] | None:
    return None if said is None else {name: value for name, value in said.items() if name != RECENT}
