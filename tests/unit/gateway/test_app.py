"""The app as a whole: its routes, its OpenAPI document, the shape of its errors."""

from __future__ import annotations

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi import checks

from gateway.app import create_app
from tests.unit.gateway.fakes import dependencies
from tests.unit.gateway.house import House


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


# Whatever a client may send: no defect, and no answer that the document does not know.

CHECKS = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
    checks.ignored_auth,
    checks.unsupported_method,
    checks.allow_header_conformance,
]
HOUSE = House()
SCHEMA = schemathesis.openapi.from_asgi("/openapi.json", HOUSE.app)


@pytest.mark.parametrize("user", ["u_standard", "u_admin"])
@SCHEMA.parametrize()
@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
def test_every_operation_keeps_to_the_document(case: schemathesis.Case, user: str) -> None:
    case.call_and_validate(headers=HOUSE.bearer(user), checks=CHECKS)
