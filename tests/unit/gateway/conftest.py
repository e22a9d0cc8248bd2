"""A gateway on a real loopback socket, for the tests of the shells."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from gateway.limits import Limits
from gateway.server import GatewayServer
from tests.unit.gateway.fakes import Gateway, dependencies

Serve = Callable[..., Awaitable[Gateway]]


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Start gateways; they are stopped when the test ends."""
    started: list[Gateway] = []

    async def start(limits: Limits | None = None, **changes: Any) -> Gateway:
        parts = dependencies(limits or Limits(close_deadline_s=0.3, sweep_interval_s=0.05), **changes)
        server = GatewayServer(parts)
        await server.start("127.0.0.1", 0)
        gateway = Gateway(server, parts)
        started.append(gateway)
        return gateway

    yield start
    async with asyncio.timeout(20):
        for gateway in started:
            await gateway.server.stop()
