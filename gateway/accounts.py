"""Everything below ``/api/auth``, put together."""

from __future__ import annotations

from fastapi import APIRouter

from gateway.dependencies import GatewayDependencies
from gateway.guests import guest_routes
from gateway.sessions import session_routes
from gateway.sign_up import sign_up_routes
from gateway.token_pairs import TokenPairs


def auth_routes(dependencies: GatewayDependencies) -> APIRouter:
    router = APIRouter()
    pairs = TokenPairs(dependencies.tokens, dependencies.front_door.refresh_tokens, dependencies.router)
    for routes in (guest_routes, sign_up_routes, session_routes):
        router.include_router(routes(dependencies, pairs))
    return router
