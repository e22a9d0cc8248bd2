"""Headers that every answer has, defects included, and which pages may read it."""

from __future__ import annotations

import httpx
import pytest

from tests.unit.gateway.house import House

EVERYWHERE = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "x-frame-options": "DENY",
}
PAGE = "https://casino.example"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/dashboard", 200),
        ("GET", "/api/nothing", 404),
        ("DELETE", "/api/dashboard", 405),
        ("POST", "/api/games/slots/spin", 422),
        ("GET", "/healthz", 200),
    ],
)
async def test_every_answer_has_them(method: str, path: str, status: int) -> None:
    async with House().client() as client:
        response = await client.request(method, path)
    assert response.status_code == status
    assert {name: response.headers.get(name) for name in EVERYWHERE} == EVERYWHERE
    assert (response.headers.get("cache-control") == "no-store") == path.startswith("/api/")
    assert "strict-transport-security" not in response.headers


async def test_defects_and_oversized_bodies_have_them_too(monkeypatch: pytest.MonkeyPatch) -> None:
    house = House()

    def broken(*_, **__) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(house.router, "submit", broken)
    async with house.client() as client:
        defect = await client.get("/api/dashboard", headers={"Origin": PAGE})
        large = await client.post("/api/actions", content=b" " * 70_000, headers={"Origin": PAGE})
    assert (defect.status_code, large.status_code) == (500, 413)
    for response in (defect, large):
        assert {name: response.headers.get(name) for name in EVERYWHERE} == EVERYWHERE
        assert response.headers["access-control-allow-origin"] == PAGE


async def test_https_is_for_good() -> None:
    house = House()
    transport = httpx.ASGITransport(house.app)
    async with httpx.AsyncClient(transport=transport, base_url="https://casino") as client:
        response = await client.get("/healthz")
    assert response.headers["strict-transport-security"] == "max-age=31536000"


async def test_pages_of_our_own_origins_may_read() -> None:
    preflight = {
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type,idempotency-key",
    }
    async with House().client() as client:
        asked = await client.options("/api/games/slots/spin", headers=preflight | {"Origin": PAGE})
        answer = await client.get("/api/dashboard", headers={"Origin": PAGE})
    assert asked.status_code == 200
    assert asked.headers["access-control-allow-origin"] == PAGE
    assert "POST" in asked.headers["access-control-allow-methods"]
    assert answer.headers["access-control-allow-origin"] == PAGE
    assert answer.headers["vary"] == "Origin"
    for response in (asked, answer):
        assert "access-control-allow-credentials" not in response.headers


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "https://casino.example.evil.example"])
async def test_pages_of_others_may_not(origin: str) -> None:
    preflight = {"Access-Control-Request-Method": "POST", "Origin": origin}
    async with House().client() as client:
        asked = await client.options("/api/games/slots/spin", headers=preflight)
        answer = await client.get("/api/dashboard", headers={"Origin": origin})
    assert asked.status_code == 400
    for response in (asked, answer):
        assert "access-control-allow-origin" not in response.headers
