"""Every error of an endpoint comes out as a problem document."""

from __future__ import annotations

from http import HTTPStatus

import httpx
import pytest
from fastapi import FastAPI
from pydantic import BaseModel

from gateway.problems import Problem, install_problem_handlers
from runtime.errors import CommandError, InternalError, Overloaded, Rejected, Unavailable


class Body(BaseModel):
    amount: int


def failing_with(error: Exception) -> httpx.AsyncClient:
    app = FastAPI()
    install_problem_handlers(app)

    @app.post("/")
    async def endpoint(body: Body) -> None:
        raise error

    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://x")


@pytest.mark.parametrize(
    ("error", "status", "code", "retry_after"),
    [
        (Problem(HTTPStatus.FORBIDDEN, "guests_disabled", "No."), 403, "guests_disabled", None),
        (Problem(HTTPStatus.TOO_MANY_REQUESTS, "x", "No.", {"Retry-After": "7"}), 429, "x", "7"),
        (Rejected("No.", "insufficient_gold"), 409, "insufficient_gold", None),
        (Overloaded("Later."), 503, "overloaded", "1"),
        (Unavailable("Later."), 503, "unavailable", "1"),
        (InternalError("Oh."), 500, "internal", None),
        (CommandError("Oh."), 500, "internal", None),
        (ZeroDivisionError("secret"), 500, "internal", None),
    ],
)
async def test_errors(error: Exception, status: int, code: str, retry_after: str | None) -> None:
    response = await failing_with(error).post("/", json={"amount": 1})
    assert (response.status_code, response.json()["code"]) == (status, code)
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers.get("retry-after") == retry_after
    assert "secret" not in response.text


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"amount": "x"}', b"[" * 50_000, b"\xff"])
async def test_bodies_that_do_not_fit(body: bytes) -> None:
    headers = {"content-type": "application/json"}
    response = await failing_with(Rejected("unreached")).post("/", content=body, headers=headers)
    assert response.status_code in (400, 422)
    assert response.json()["code"] in ("invalid_request", "invalid_data")
