"""The HTTP side of the gateway: a FastAPI app put together from its routes.

Owns no endpoint itself. WebSocket traffic never comes through here (see ``gateway.websocket``).
"""

from __future__ import annotations

from fastapi import FastAPI

from gateway.body_limit import BodyLimit
from gateway.crash import crash_routes
from gateway.dependencies import GatewayDependencies
from gateway.guests import guest_routes
from gateway.health import health_routes
from gateway.hub import Hub
from gateway.problems import install_problem_handlers


def create_app(dependencies: GatewayDependencies, hub: Hub | None = None) -> FastAPI:
    """The app of one gateway. Without a hub (to print its OpenAPI document) it never drains."""
    app = FastAPI(title="casino-club", version="1", summary="REST API of the casino", redoc_url=None)
    install_problem_handlers(app)
    app.add_middleware(BodyLimit, body_bytes_max=dependencies.limits.request_body_bytes_max)
    app.include_router(guest_routes(dependencies))
    app.include_router(crash_routes(dependencies))
    app.include_router(health_routes(hub or Hub(dependencies), dict(dependencies.readiness)))
    return app
