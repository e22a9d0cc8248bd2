"""Bearer tokens: who they let in, and what everybody else is told."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import Depends, FastAPI

from gateway.authentication import user_of
from gateway.problems import install_problem_handlers
from gateway.tokens import AccessTokens
from tests.unit.gateway.fakes import KEYS, FakeClock

CLOCK = FakeClock()
TOKENS = AccessTokens(KEYS, "k1", CLOCK)


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    app = FastAPI()
    install_problem_handlers(app)
    authenticated = user_of(TOKENS)

    @app.get("/me")
    async def me(user_id: str = Depends(authenticated)) -> str:
        return user_id

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://casino") as client:
        yield client


@pytest.mark.parametrize("scheme", ["Bearer", "bearer"])
async def test_a_good_token(client: httpx.AsyncClient, scheme: str) -> None:
    token = TOKENS.issue("u_ann").token
    response = await client.get("/me", headers={"Authorization": f"{scheme} {token}"})
    assert (response.status_code, response.json()) == (200, "u_ann")


@pytest.mark.parametrize("header", [None, "Basic dTpw", "Bearer", "Bearer "])
async def test_no_token(client: httpx.AsyncClient, header: str | None) -> None:
    response = await client.get("/me", headers={"Authorization": header} if header else {})
    assert (response.status_code, response.json()["code"]) == (401, "not_authenticated")
    assert response.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize(("token", "code"), [("nonsense", "token_invalid"), ("old", "token_expired")])
async def test_a_bad_token(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, token: str, code: str
) -> None:
    if token == "old":
        token = TOKENS.issue("u_ann").token
        monkeypatch.setattr(CLOCK, "ms", CLOCK.ms + 4_000_000)
    response = await client.get("/me", headers={"Authorization": f"Bearer {token}"})
    assert (response.status_code, response.json()["code"]) == (401, code)
    assert response.headers["www-authenticate"] == 'Bearer error="invalid_token"'
    assert response.headers["content-type"] == "application/problem+json"
