"""Bodies over the limit, declared and undeclared."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI, Request

from gateway.body_limit import BodyLimit
from gateway.problems import install_problem_handlers


@pytest.fixture
def client() -> httpx.AsyncClient:
    app = FastAPI()
    install_problem_handlers(app)
    app.add_middleware(BodyLimit, body_bytes_max=100)

    @app.post("/")
    async def length(request: Request) -> int:
        return len(await request.body())

    @app.post("/json")
    async def json(body: dict[str, str]) -> int:
        return len(body)

    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x")


async def in_pieces(size: int) -> AsyncIterator[bytes]:
    for _ in range(size // 10):
        yield b"x" * 10


@pytest.mark.parametrize("path", ["/", "/json"])
async def test_declared_and_undeclared(client: httpx.AsyncClient, path: str) -> None:
    for content in (b"x" * 101, in_pieces(110)):
        response = await client.post(path, content=content, headers={"content-type": "application/json"})
        assert response.status_code == 413
        assert response.json()["code"] == "body_too_large"
        assert response.headers["connection"] == "close"


async def test_what_fits(client: httpx.AsyncClient) -> None:
    assert (await client.post("/", content=b"x" * 100)).json() == 100
    assert (await client.post("/", content=in_pieces(100))).json() == 100
