"""What concerns a person: recent actions, export, erasure."""

from __future__ import annotations

from datetime import date

import pytest

from gateway.idempotency import HEADER
from tests.unit.gateway.fake_accounts import EPOCH
from tests.unit.gateway.fake_office import Moved
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
    async with house.client("u_admin") as client:
        response = await client.get(f"{RECENT}/u_vip")
        nobody = await client.get(f"{RECENT}/u_nobody")
    assert response.json() == {"user_id": "u_vip", "actions": []}
    assert [row[2:5] for row in house.office.rows] == [("u_admin", "player_actions_read", "u_vip")]
    assert (nobody.status_code, nobody.json()["code"]) == (404, "account_unknown")
    assert [user for user, _, _ in house.commands()] == ["u_vip"]


async def test_an_export_has_everything_but_the_password(house: House) -> None:
    account = house.accounts.accounts["u_standard"]
    account.birth_date, account.password_hash = date(1990, 2, 3), "$argon2id$secret"
    rows = [
        Moved(2, 0, EPOCH, -5, "house:slots", "stake"),
        Moved(1, 0, EPOCH, 9, "faucet:welcome", "welcome"),
    ]
    house.office.moved["u_standard"] = rows
    async with house.client() as client:
        response = await client.get("/api/users/me/export")
        older = await client.get("/api/users/me/export", params={"before": 2})
    export = response.json()
    assert export["account"]["username"] == "Standard"
    assert export["birth_date"] == "1990-02-03"
    assert len(export["sign_ins"]) == 2
    assert export["state"]["gold_balance"] == 10_000
    assert [entry["amount"] for entry in export["ledger"]["entries"]] == [-5, 9]
    assert [entry["turn"] for entry in older.json()["ledger"]["entries"]] == [1]
    assert "argon2" not in response.text


async def test_the_export_of_an_account_that_is_gone(house: House) -> None:
    async with house.client("u_gone") as client:
        response = await client.get("/api/users/me/export")
        erased = await client.delete("/api/users/me")
    assert (response.status_code, response.json()["code"]) == (404, "account_unknown")
    assert (erased.status_code, erased.json()["code"]) == (404, "account_unknown")
    assert house.commands() == []


async def test_erasure(house: House) -> None:
    async with house.client() as client:
        for _ in range(2):
            response = await client.delete("/api/users/me")
            assert (response.status_code, response.content) == (204, b"")
    account = house.accounts.accounts["u_standard"]
    assert (account.kind, account.username) == ("erased", None)
    assert house.accounts.revocations[-1].because == "erased"
    assert house.accounts.accounts["u_vip"].kind == "full"


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", f"{RECENT}/u_standard"), ("GET", "/api/users/me/export"), ("DELETE", "/api/users/me")],
)
async def test_nobody(house: House, method: str, path: str) -> None:
    async with house.client(None) as client:
        response = await client.request(method, path)
    assert (response.status_code, response.json()["code"]) == (401, "not_authenticated")
