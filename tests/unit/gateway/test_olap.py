"""Do events get through? Anybody may know that much; administrators the rest, and it is written down."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from tests.unit.gateway.fakes import RECORDED_MS
from tests.unit.gateway.house import House

RELAY = {"lag_seconds": 0.2, "turns_total": 9, "recent": [{"actor": "session/u_ann", "seq": 1}]}
SINK = {"lag_seconds": 1.5, "lag_records": 12, "clickhouse": {"rows": 7}}


class FakeBoard:
    def __init__(self, **said: Mapping[str, Any]) -> None:
        self.said = said

    async def read(self) -> Mapping[str, Mapping[str, Any]]:
        return {f"event-{name}": {"at_ms": RECORDED_MS, **said} for name, said in self.said.items()}


@pytest.mark.parametrize(
    ("said", "status"),
    [
        ({"relay": RELAY, "sink": SINK}, "ok"),
        ({"relay": RELAY}, "ok"),
        ({"relay": RELAY | {"lag_seconds": 61.0}}, "late"),
        ({"relay": RELAY | {"has_bus": 0}}, "ok"),
        ({"relay": RELAY | {"has_bus": 1}}, "unknown"),
        ({"relay": RELAY | {"has_bus": 1}, "sink": {"lag_records": 0}}, "unknown"),
        ({"relay": RELAY | {"has_bus": 1}, "sink": SINK | {"lag_seconds": 61.0}}, "late"),
        ({"relay": {"turns_total": 0}}, "unknown"),
        ({"sink": SINK}, "unknown"),
        ({}, "unknown"),
    ],
)
@pytest.mark.parametrize("user", [None, "u_standard"])
async def test_anybody_learns_whether_events_get_through(
    said: dict[str, Any], status: str, user: str | None
) -> None:
    async with House(statuses=FakeBoard(**said)).client(user) as client:
        response = await client.get("/api/olap/health")
    assert response.json() == {"status": status, "relay": None, "sink": None, "recent": None}


async def test_administrators_learn_how() -> None:
    house = House(statuses=FakeBoard(relay=RELAY, sink=SINK))
    async with house.client("u_admin") as client:
        health = (await client.get("/api/olap/health")).json()
    assert (health["relay"]["turns_total"], health["sink"]["lag_records"]) == (9, 12)
    assert health["recent"] is None
    assert "recent" not in health["relay"]
    assert house.office.rows == []


@pytest.mark.parametrize(
    ("said", "latest"),
    [
        ({"relay": RELAY}, RELAY["recent"]),
        # With a bus between them, what analytics have is what the sink took.
        ({"relay": RELAY, "sink": SINK | {"recent": [{"seq": 7}]}}, [{"seq": 7}]),
        ({}, []),
    ],
)
async def test_reading_the_latest_messages_leaves_its_row(said: dict[str, Any], latest: list[Any]) -> None:
    house = House(statuses=FakeBoard(**said))
    async with house.client("u_admin") as client:
        health = (await client.get("/api/olap/health?recent=true")).json()
    assert health["recent"] == latest
    assert [(row.admin, row.action) for row in house.office.rows] == [("u_admin", "read_recent_messages")]


@pytest.mark.parametrize("user", [None, "u_standard"])
async def test_nobody_else_reads_them(user: str | None) -> None:
    house = House(statuses=FakeBoard(relay=RELAY))
    async with house.client(user) as client:
        response = await client.get("/api/olap/health?recent=true")
    assert (response.status_code, response.json()["code"]) == (403, "forbidden")
