"""Every request is named, counted under a template and timed; whatever clients invent is one thing."""

from __future__ import annotations

import logging

import pytest

from gateway.counters import Answered
from tests.unit.gateway.house import House


async def test_requests_are_counted_by_route_and_kind_of_status() -> None:
    house = House()
    counters = house.parts.fanout.counters
    async with house.client("u_admin") as client:
        await client.get("/api/dashboard")
        await client.get("/api/admin/players/u_standard")
        await client.get("/api/admin/players/u_nobody")
        await client.get("/api/there-is/u_standard/nothing")
        await client.request("BREW", "/api/dashboard")
    assert counters.requests == {
        Answered("GET", "/api/dashboard", "2xx"): 1,
        Answered("GET", "/api/admin/players/{user_id}", "2xx"): 1,
        Answered("GET", "/api/admin/players/{user_id}", "4xx"): 1,
        Answered("GET", "unmatched", "4xx"): 1,
        Answered("other", "/api/dashboard", "4xx"): 1,
    }
    assert counters.request_seconds.keys() == {
        "/api/dashboard",
        "/api/admin/players/{user_id}",
        "unmatched",
    }
    assert counters.problems == {"account_unknown": 1, "not_found": 1, "method_not_allowed": 1}


async def test_every_kind_of_problem_is_counted_by_its_code() -> None:
    house = House()
    counters = house.parts.fanout.counters
    async with house.client(None) as nobody:
        await nobody.get("/api/dashboard")
        await nobody.get("/api/dashboard", headers={"Authorization": "Bearer forged"})
        await nobody.post("/api/auth/login", json={"username": 7})
        await nobody.post("/api/auth/login", content=b"x" * 100_000)
    assert counters.problems == {
        "not_authenticated": 1,
        "token_invalid": 1,
        "invalid_data": 1,
        "body_too_large": 1,
    }


async def test_a_request_has_its_name_in_the_answer_and_a_keyless_command_the_same() -> None:
    house = House()
    async with house.client() as client:
        chosen = await client.get("/healthz", headers={"X-Request-Id": "mine-1"})
        claimed = await client.post("/api/streak/claim")
    assert chosen.headers["x-request-id"] == "mine-1"
    assert ("u_standard", claimed.headers["x-request-id"], "claim_streak") in house.commands()


async def test_commands_are_counted_through_this_door_too() -> None:
    house = House()
    counters = house.parts.fanout.counters
    async with house.client() as client:
        assert (await client.post("/api/streak/claim")).status_code == 200
        assert (await client.post("/api/streak/claim")).status_code == 409
    assert counters.commands_done == {"claim_streak": 1}
    assert counters.commands_failed == {("claim_streak", "streak_already_claimed"): 1}


async def test_defects_leave_a_line_with_their_route(caplog: pytest.LogCaptureFixture) -> None:
    house = House()
    house.accounts.account = None  # type: ignore[assignment, method-assign]
    with caplog.at_level(logging.WARNING, logger="gateway.http_metrics"):
        async with house.client() as client:
            assert (await client.get("/api/auth/me")).status_code == 500
    [line] = [record for record in caplog.records if record.name == "gateway.http_metrics"]
    assert (line.route, line.status, line.code) == ("/api/auth/me", 500, "internal")  # type: ignore[attr-defined]
