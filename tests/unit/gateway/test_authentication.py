"""Bearer tokens: who they let in, and what everybody else is told."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import Depends, FastAPI

from gateway.authentication import bearer_if_any, require_role, user_of
from gateway.key_ring import KeyRing
from gateway.problems import install_problem_handlers
from gateway.revocations import Verdict
from gateway.roles import Role
from gateway.tokens import AccessTokens, Bearer
from tests.unit.gateway.fakes import KEYS, FakeClock

CLOCK = FakeClock()
TOKENS = AccessTokens(KeyRing(KEYS, "k1"), CLOCK)


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    app = FastAPI()
    install_problem_handlers(app)
    authenticated = user_of(TOKENS)

    @app.get("/me")
    async def me(user_id: str = Depends(authenticated)) -> str:
        return user_id

    @app.get("/office")
    async def office(bearer: Bearer = Depends(require_role(TOKENS, Role.ADMIN))) -> str:
        return bearer.user_id

    @app.get("/open")
    async def open_to_all(bearer: Bearer | None = Depends(bearer_if_any(TOKENS))) -> str:
        return "nobody" if bearer is None else bearer.user_id

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


@pytest.mark.parametrize("role", list(Role))
async def test_a_guarded_route(client: httpx.AsyncClient, role: Role) -> None:
    token = TOKENS.issue("u_ann", role).token
    response = await client.get("/office", headers={"Authorization": f"Bearer {token}"})
    if role is Role.ADMIN:
        assert (response.status_code, response.json()) == (200, "u_ann")
    else:
        assert (response.status_code, response.json()["code"]) == (403, "forbidden")


async def test_a_guarded_route_without_a_token(client: httpx.AsyncClient) -> None:
    assert (await client.get("/office")).status_code == 401


async def test_a_token_that_need_not_be(client: httpx.AsyncClient) -> None:
    assert (await client.get("/open")).json() == "nobody"
    token = TOKENS.issue("u_ann").token
    assert (await client.get("/open", headers={"Authorization": f"Bearer {token}"})).json() == "u_ann"
    bad = await client.get("/open", headers={"Authorization": "Bearer nonsense"})
    assert (bad.status_code, bad.json()["code"]) == (401, "token_invalid")


@pytest.mark.parametrize(
    ("because", "status", "code"), [("ban", 403, "banned"), ("password", 401, "token_revoked")]
)
async def test_a_voided_token(client: httpx.AsyncClient, because: str, status: int, code: str) -> None:
    now = CLOCK.ms // 1000
    token = TOKENS.issue(f"u_{because}", issued_s=now).token
    TOKENS.revocations.add(f"u_{because}", Verdict(now + 1, because))
    for path in ("/me", "/office", "/open"):
        response = await client.get(path, headers={"Authorization": f"Bearer {token}"})
        assert (response.status_code, response.json()["code"]) == (status, code)
