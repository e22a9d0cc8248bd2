"""The app as a whole: its routes, its OpenAPI document, the shape of its errors."""

from __future__ import annotations

import httpx
import pytest

from gateway.app import create_app
from tests.unit.gateway.fakes import dependencies


@pytest.fixture
def client() -> httpx.AsyncClient:
    app = create_app(dependencies())
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://casino")


async def test_routes(client: httpx.AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()
    assert {"/api/auth/guest", "/healthz", "/readyz"} <= set(document["paths"])
    assert "ProblemDocument" in document["components"]["schemas"]


async def test_the_document_is_deterministic() -> None:
    assert create_app(dependencies()).openapi() == create_app(dependencies()).openapi()


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [("GET", "/nothing", 404, "not_found"), ("DELETE", "/healthz", 405, "method_not_allowed")],
)
async def test_errors_of_the_framework(
    client: httpx.AsyncClient, method: str, path: str, status: int, code: str
) -> None:
    response = await client.request(method, path)
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert set(problem) == {"type", "title", "status", "detail", "code"}
    assert (problem["status"], problem["code"]) == (status, code)
    assert problem["type"] == f"urn:casino-club:problem:{code}"
