"""Alive, and ready."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from gateway import health
from gateway.app import create_app
from gateway.hub import Hub
from gateway.ports import ReadinessCheck
from gateway.revocations import STALE_AFTER_S
from tests.unit.gateway.fakes import FakeClock, dependencies


async def fine() -> str | None:
    return None


async def no_map() -> str | None:
    return "no shard map yet"


async def broken() -> str | None:
    raise OSError("secret address")


async def hanging() -> str | None:
    await asyncio.sleep(60)
    return None


async def readiness(**checks: ReadinessCheck) -> httpx.Response:
    app = create_app(dependencies(readiness=checks))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as client:
        assert (await client.get("/healthz")).json() == {"status": "ok"}
        return await client.get("/readyz")


async def test_ready() -> None:
    response = await readiness(router=fine, database=fine)
    assert (response.status_code, response.json()) == (200, {"ready": True, "reasons": {}})


async def test_not_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "_CHECK_DEADLINE_S", 0.02)
    response = await readiness(router=no_map, database=broken, cache=hanging, relay=fine)
    assert response.status_code == 503
    assert response.json() == {
        "ready": False,
        "reasons": {
            "router": "no shard map yet",
            "database": "OSError",
            "cache": "no answer within 0.02 s",
        },
    }


async def test_not_ready_while_revocations_cannot_be_read() -> None:
    clock = FakeClock()
    parts = dependencies(clock=clock)
    app = create_app(parts)
    parts.tokens.revocations.heard()
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as client:
        clock.seconds += STALE_AFTER_S
        assert (await client.get("/readyz")).status_code == 200
        clock.seconds += 0.1
        response = await client.get("/readyz")
        assert response.status_code == 503
        assert response.json()["reasons"] == {"revocations": "revocations cannot be read"}
        parts.tokens.revocations.heard()
        assert (await client.get("/readyz")).status_code == 200


async def test_not_ready_while_draining() -> None:
    parts = dependencies()
    hub = Hub(parts)
    hub.is_draining = True
    app = create_app(parts, hub)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as client:
        assert (await client.get("/readyz")).json()["reasons"] == {"gateway": "draining"}
        assert (await client.get("/healthz")).status_code == 200
