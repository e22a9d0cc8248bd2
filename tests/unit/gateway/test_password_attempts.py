"""What is asked before a password is looked at, and in which order."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from gateway.password_attempts import own_key
from gateway.passwords import Passwords
from gateway.rate_limit import LocalRateLimiter
from gateway.sign_up import USERNAME_PATTERN
from tests.unit.gateway.auth_client import INVITE, PASSWORD, AuthClient, answer_of
from tests.unit.gateway.fakes import CHEAP, FakeClock

FORM = {"username": "Ann", "password": PASSWORD, "invite_code": INVITE, "birth_date": "1990-05-17"}


def limited(burst: int, passwords: Passwords | None = None) -> AuthClient:
    return AuthClient(passwords, password_rate=LocalRateLimiter(FakeClock(), burst=burst, per_s=0.5))


async def test_an_address_has_a_share_of_the_hashes() -> None:
    client = limited(3)
    await client.account("ann")
    for name in ("ann", "bob", "cid"):
        assert answer_of(await client.log_in(name, "wrong")) == (401, "wrong_credentials")
    refused = await client.log_in("dan", "wrong")
    assert answer_of(refused) == (429, "rate_limited")
    assert refused.headers["retry-after"] == "2"
    assert client.store.asked["count"] == 3, "a name is not counted for what its address may not ask"
    assert answer_of(await client.post("signup", **FORM)) == (429, "rate_limited")
    assert client.store.asked["sign_up"] == 0
    assert (await client.post("guest")).status_code == 201, "what hashes nothing is not counted"


async def test_each_address_has_its_own() -> None:
    client = limited(1)
    statuses = []
    for host in ("192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8::2"):
        transport = httpx.ASGITransport(client.app, client=(host, 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://casino") as http:
            body: Any = {"username": "ann", "password": "wrong"}
            statuses.append([(await http.post("/api/auth/login", json=body)).status_code for _ in range(2)])
    assert statuses == [[401, 429], [401, 429], [401, 429], [429, 429]], "the last one is the same customer"


async def test_another_password_counts_too() -> None:
    client = limited(2)
    await client.account("ann")
    token = (await client.log_in()).json()["access_token"]
    form = {"old_password": "wrong", "new_password": "battery staple"}
    assert answer_of(await client.post("password", token=token, **form)) == (403, "wrong_password")
    assert answer_of(await client.post("password", token=token, **form)) == (429, "rate_limited")
    assert client.store.asked["count"] == 2


async def test_a_full_pool_locks_nobody() -> None:
    passwords = Passwords(CHEAP, threads=1, waiting_max=0)
    client = AuthClient(passwords)
    await client.account("ann")
    with passwords.place():
        for _ in range(20):
            refused = await client.log_in()
            assert answer_of(refused) == (503, "overloaded")
            assert refused.headers["retry-after"] == "1"
        assert answer_of(await client.post("signup", **FORM)) == (503, "overloaded")
    assert client.store.asked["count"] == 0
    assert (await client.log_in()).status_code == 200


@pytest.mark.parametrize("user_id", ["u_ann", "u_" + "a" * 26])
def test_nobody_can_be_named_like_a_key(user_id: str) -> None:
    assert ":" in own_key(user_id)
    assert ":" not in USERNAME_PATTERN
