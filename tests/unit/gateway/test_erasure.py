"""Erasure: for good, so the password is asked, and guessed no faster than anywhere else."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from gateway.lockout import key_of
from gateway.password_attempts import own_key
from tests.unit.gateway.fake_accounts import FakeAccounts
from tests.unit.gateway.fakes import FakeClock
from tests.unit.gateway.house import House

ME = "/api/users/me"
PASSWORD = "correct horse"


@pytest.fixture
async def house() -> House:
    house = House()
    hashed = await house.parts.front_door.passwords.hash(PASSWORD)
    house.accounts.accounts["u_standard"].password_hash = hashed
    return house


async def erase(client: httpx.AsyncClient, password: str | None) -> tuple[int, str]:
    body: Any = {} if password is None else {"json": {"password": password}}
    response = await client.request("DELETE", ME, **body)
    return response.status_code, response.json()["code"] if response.content else ""


async def test_a_full_account_needs_its_password(house: House) -> None:
    async with house.client() as client:
        assert await erase(client, None) == (403, "password_required")
        assert await erase(client, "wrong") == (403, "wrong_password")
        assert await erase(client, "") == (422, "invalid_data")
        assert house.accounts.accounts["u_standard"].kind == "full"
        assert await erase(client, PASSWORD) == (204, "")
        assert await erase(client, None) == (204, ""), "once more, as after a lost answer"
    account = house.accounts.accounts["u_standard"]
    assert (account.kind, account.username) == ("erased", None)
    assert house.accounts.revocations[-1].because == "erased"
    assert house.accounts.accounts["u_vip"].kind == "full"


async def test_guesses_count_as_at_a_change_of_password(house: House) -> None:
    async with house.client() as client:
        for _ in range(3):
            assert await erase(client, "wrong") == (403, "wrong_password")
        body = {"old_password": "wrong", "new_password": "battery staple"}
        for _ in range(2):
            assert (await client.post("/api/auth/password", json=body)).status_code == 403
        assert await erase(client, PASSWORD) == (429, "login_locked")
        assert house.accounts.accounts["u_standard"].kind == "full"
        login = {"username": "Standard", "password": PASSWORD}
        assert (await client.post("/api/auth/login", json=login)).status_code == 200
        house.clock.ms += 600_000
        fresh = house.bearer()
        response = await client.request("DELETE", ME, json={"password": PASSWORD}, headers=fresh)
        assert response.status_code == 204


async def test_a_guest_needs_none(house: House) -> None:
    async with house.client(None) as client:
        guest = (await client.post("/api/auth/guest")).json()
        headers = {"Authorization": f"Bearer {guest['access_token']}"}
        assert (await client.delete(ME, headers=headers)).status_code == 204
    assert house.accounts.accounts[guest["user_id"]].kind == "erased"


async def test_no_counter_knows_the_name_any_more(house: House) -> None:
    lockout = house.parts.front_door.lockout
    gate = lockout._gate = FakeAccounts(FakeClock())
    for name in ("Standard", own_key("u_standard"), "Vip"):
        await lockout.count(name)
    async with house.client() as client:
        assert await erase(client, PASSWORD) == (204, "")
    assert set(gate.attempts) == {key_of("Vip")}


async def test_an_account_that_is_gone(house: House) -> None:
    async with house.client("u_gone") as client:
        assert await erase(client, None) == (404, "account_unknown")


async def test_nobody(house: House) -> None:
    async with house.client(None) as client:
        assert await erase(client, PASSWORD) == (401, "not_authenticated")
