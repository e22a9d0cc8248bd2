"""REST of Crash for anybody: history and fairness."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, cast

import httpx
import msgspec
import pytest

from actors.crash.broadcast import CrashFairness, CrashHistory, CrashRound
from gateway.app import create_app
from gateway.dependencies import GatewayDependencies
from runtime.stream import Failure
from tests.unit.gateway.fakes import MAIN, TABLES, FakeClock, FakeRouter, dependencies, unpack

ROUNDS = [CrashRound(100 - n, "ab" * 32, 1.73, "crashed", 1.73, 1_000, 2, 30, 0) for n in range(100)]
HISTORY = msgspec.to_builtins(CrashHistory("main", ROUNDS))
FAIRNESS = msgspec.to_builtins(CrashFairness("main", "ab" * 32, "cd", "block 1", 1, 1000, 7, 993, "ef"))


@pytest.fixture
def parts() -> GatewayDependencies:
    parts = dependencies(clock=FakeClock())
    router_of(parts).replies = {
        "get_crash_history": HISTORY,
        "get_crash_fairness": FAIRNESS,
    }
    return parts


@pytest.fixture
async def client(parts: GatewayDependencies) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(create_app(parts))
    async with httpx.AsyncClient(transport=transport, base_url="http://casino/api/games/crash") as client:
        yield client


def router_of(parts: GatewayDependencies) -> FakeRouter:
    return cast(FakeRouter, parts.router)


def asked(parts: GatewayDependencies) -> list[tuple[str, str, Any]]:
    return [(actor, name, unpack(data)) for actor, _, name, data in router_of(parts).submitted]


async def test_history(client: httpx.AsyncClient, parts: GatewayDependencies) -> None:
    response = await client.get("/history")
    assert response.status_code == 200
    assert response.json() == {"table": "main", "rounds": HISTORY["rounds"][:50]}
    response = await client.get("/history", params={"table": "main", "limit": 2})
    assert [one["round"] for one in response.json()["rounds"]] == [100, 99]
    assert asked(parts) == [(MAIN, "get_crash_history", {"limit": 100})], "one question serves both"


async def test_fairness(client: httpx.AsyncClient, parts: GatewayDependencies) -> None:
    response = await client.get("/fairness")
    assert (response.status_code, response.json()) == (200, FAIRNESS)
    await client.get("/fairness", params={"table": "high"})
    assert asked(parts) == [
        (MAIN, "get_crash_fairness", {}),
        (TABLES["crash/high"], "get_crash_fairness", {}),
    ]


async def test_a_flood_reaches_the_table_once(client: httpx.AsyncClient, parts: GatewayDependencies) -> None:
    for _ in range(20):
        await client.get("/history")
        await client.get("/fairness")
    assert len(asked(parts)) == 2
    cast(FakeClock, parts.clock).seconds += parts.limits.answer_kept_s
    await client.get("/history")
    assert len(asked(parts)) == 3


@pytest.mark.parametrize("route", ["/history", "/fairness"])
@pytest.mark.parametrize("table", ["nowhere", "main/x", "../session/u_ann"])
async def test_an_unknown_table_starts_nothing(
    client: httpx.AsyncClient, parts: GatewayDependencies, route: str, table: str
) -> None:
    response = await client.get(route, params={"table": table})
    assert (response.status_code, response.json()["code"]) == (404, "unknown_table")
    assert asked(parts) == []


@pytest.mark.parametrize("query", ["limit=0", "limit=101", "limit=x", "table=", "table=" + "x" * 65])
async def test_bad_queries(client: httpx.AsyncClient, parts: GatewayDependencies, query: str) -> None:
    response = await client.get(f"/history?{query}")
    assert (response.status_code, response.json()["code"]) == (422, "invalid_data")
    assert response.headers["content-type"] == "application/problem+json"
    assert asked(parts) == []


async def test_a_table_out_of_reach(client: httpx.AsyncClient, parts: GatewayDependencies) -> None:
    router_of(parts).replies["get_crash_history"] = Failure(0, "unavailable", "away", True)
    response = await client.get("/history")
    assert (response.status_code, response.json()["code"]) == (503, "unavailable")
    assert response.headers["retry-after"] == "1"


async def test_the_document() -> None:
    document = create_app(dependencies()).openapi()
    paths = document["paths"]
    for route, model in (("history", "CrashHistory"), ("fairness", "CrashFairness")):
        answers = paths[f"/api/games/crash/{route}"]["get"]["responses"]
        schema = answers["200"]["content"]["application/json"]["schema"]
        assert schema == {"$ref": f"#/components/schemas/{model}"}
        assert "503" in answers
        assert "security" not in paths[f"/api/games/crash/{route}"]["get"]
