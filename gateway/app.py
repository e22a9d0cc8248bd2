"""The HTTP side of the gateway: a FastAPI app put together from its routes.

Owns no endpoint itself. WebSocket traffic never comes through here (see ``gateway.websocket``).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI
from starlette.types import ASGIApp

from gateway.accounts import auth_routes
from gateway.admin import admin_routes
from gateway.body_limit import BodyLimit
from gateway.crash import crash_routes
from gateway.dependencies import GatewayDependencies
from gateway.erasure import erasure_routes
from gateway.export import export_routes
from gateway.headers import with_headers
from gateway.health import health_routes, revocations_heard
from gateway.http_metrics import HttpMetrics
from gateway.hub import Hub
from gateway.metrics import GatewayMetrics
from gateway.metrics_global import Overview, global_metrics_routes
from gateway.metrics_page import metrics_page
from gateway.olap import olap_routes
from gateway.openapi import openapi_document
from gateway.play import play_routes, play_shapes
from gateway.players import player_routes
from gateway.problems import install_problem_handlers


class _App(FastAPI):
    """FastAPI with headers on every answer, and the whole OpenAPI document."""

    def __init__(self, dependencies: GatewayDependencies, **options: Any) -> None:
        super().__init__(**options)
        self._counters = dependencies.fanout.counters
        self._allowed_origins: Sequence[str] = dependencies.allowed_origins
        self._shapes = play_shapes(dependencies)

    def build_middleware_stack(self) -> ASGIApp:
        # Around everything: what answers a defect stands outside of all middleware.
        app = with_headers(super().build_middleware_stack(), self._allowed_origins)
        return HttpMetrics(app, self._counters)

    def openapi(self) -> dict[str, Any]:
        if self.openapi_schema is None:
            self.openapi_schema = openapi_document(self, self._shapes)
        return self.openapi_schema


def create_app(dependencies: GatewayDependencies, hub: Hub | None = None) -> FastAPI:
    """The app of one gateway. Without a hub (to print its OpenAPI document) it never drains."""
    app = _App(
        dependencies,
        title="casino-club",
        version="1",
        summary="REST API of the casino",
        redoc_url=None,
        generate_unique_id_function=lambda route: route.name,
    )
    install_problem_handlers(app)
    app.add_middleware(BodyLimit, body_bytes_max=dependencies.limits.request_body_bytes_max)
    app.include_router(auth_routes(dependencies))
    app.include_router(play_routes(dependencies))
    app.include_router(crash_routes(dependencies))
    office = dependencies.back_office
    if office is not None:
        app.include_router(player_routes(dependencies, office))
        app.include_router(export_routes(dependencies, office))
        app.include_router(erasure_routes(dependencies, office))
        app.include_router(admin_routes(dependencies, office))
    checks = {**dependencies.readiness, "revocations": revocations_heard(dependencies.tokens.revocations)}
    hub = hub or Hub(dependencies)
    if dependencies.statuses is not None:
        overview = Overview(dependencies.statuses, dependencies.clock)
        app.include_router(global_metrics_routes(dependencies, overview, hub))
        app.include_router(olap_routes(dependencies, overview))
    metrics = GatewayMetrics(dependencies.fanout.counters)
    app.include_router(metrics_page(metrics, dependencies.metrics_readers))
    app.include_router(health_routes(hub, checks))
    return app
