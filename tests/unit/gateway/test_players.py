"""What concerns a person: recent actions, erasure."""

from __future__ import annotations

import pytest

from gateway.idempotency import HEADER
from gateway.revocations import STALE_AFTER_S
from tests.unit.gateway.house import House

RECENT = "/api/actions/recent"


@pytest.fixture
def house() -> House:
    return House()


async def test_own_recent_actions(house: House) -> None:
    async with house.client() as client:
        action = {"action_type": "lobby", "client_ts": 5, "context": {"tab": "slots", "none": None}}
        await client.post("/api/actions", json=action)
        await client.post("/api/streak/claim", headers={HEADER: "c"})
        shown = (await client.get(f"{RECENT}/u_standard")).json()
    assert shown["user_id"] == "u_standard"
    assert [entry["action_type"] for entry in shown["actions"]] == ["claim_streak", "lobby"]
    assert shown["actions"][1] == action | {"server_ts": house.clock.now_ms()}
    assert house.office.rows == []


@pytest.mark.parametrize("user", ["u_standard", "u_premium"])
@pytest.mark.parametrize("other", ["u_vip", "u_nobody"])
async def test_those_of_others_are_not_for_players(house: House, user: str, other: str) -> None:
    async with house.client(user) as client:
        response = await client.get(f"{RECENT}/{other}")
    assert (response.status_code, response.json()["code"]) == (403, "forbidden")
    assert house.commands() == []


async def test_an_administrator_reads_them_and_it_is_written_down(house: House) -> None:
    house.router.state("u_vip")
    async with house.client("u_admin") as client:
        response = await client.get(f"{RECENT}/u_vip")
        nobody = await client.get(f"{RECENT}/u_nobody")
    assert response.json() == {"user_id": "u_vip", "actions": []}
    assert [row[2:5] for row in house.office.rows] == [("u_admin", "player_actions_read", "u_vip")]
    assert (nobody.status_code, nobody.json()["code"]) == (404, "account_unknown")
    assert [user for user, _, _ in house.commands()] == ["u_vip"]


async def test_an_administrator_who_looks_opens_no_session(house: House) -> None:
    async with house.client("u_admin") as client:
        response = await client.get(f"{RECENT}/u_vip")
    assert (response.status_code, response.json()) == (200, {"user_id": "u_vip", "actions": []})
    assert house.commands() == []
    assert [row.target for row in house.office.rows] == ["u_vip"], "written down all the same"


async def test_who_cannot_hear_of_revocations_shows_nobody_elses(house: House) -> None:
    house.parts.tokens.revocations.heard()
    house.clock.seconds += STALE_AFTER_S + 1
    async with house.client("u_admin") as client:
        others, own = [await client.get(f"{RECENT}/{user}") for user in ("u_vip", "u_admin")]
    assert (others.status_code, others.json()["code"]) == (503, "unavailable")
    assert own.status_code == 200
    assert house.office.rows == []


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", f"{RECENT}/u_standard")],
)
async def test_nobody(house: House, method: str, path: str) -> None:
    async with house.client(None) as client:
        response = await client.request(method, path)
    assert (response.status_code, response.json()["code"]) == (401, "not_authenticated")
