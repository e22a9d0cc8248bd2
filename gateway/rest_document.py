"""The OpenAPI document of a house that is not running: every route there is, and nothing behind it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from gateway.app import create_app
from gateway.dependencies import BackOffice, FrontDoor, GatewayDependencies
from gateway.fanout import Fanout
from gateway.key_ring import KeyRing
from gateway.tokens import AccessTokens
from runtime.behavior import CommandSpec
from runtime.clock import SystemClock


def rest_document(catalogue: Mapping[str, CommandSpec]) -> dict[str, Any]:
    """The document, the same for the same commands. ``catalogue``: those of the session, by name."""
    nothing = cast(Any, None)
    dependencies = GatewayDependencies(
        router=nothing,
        fanout=Fanout(),
        catalogue=catalogue,
        pushes={},
        tokens=AccessTokens(KeyRing({"none": bytes(32)}, "none"), SystemClock()),
        accounts=nothing,
        rate_limiter=nothing,
        front_door=FrontDoor(nothing, nothing, nothing, nothing),
        statuses=cast(Any, object()),
        back_office=BackOffice(nothing, nothing, nothing, nothing, nothing, b""),
    )
    return create_app(dependencies).openapi()
