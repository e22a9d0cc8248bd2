"""Guest accounts over HTTP."""

from __future__ import annotations

import re
from typing import Any, cast

import httpx
import pytest

from gateway.app import create_app
from gateway.dependencies import GatewayDependencies
from gateway.guests import address_key, new_user_id
from runtime.errors import Unavailable
from tests.unit.gateway.fake_accounts import FakeAccounts
from tests.unit.gateway.fakes import dependencies


def client(parts: GatewayDependencies, address: str = "192.0.2.1") -> httpx.AsyncClient:
    transport = httpx.ASGITransport(create_app(parts), client=(address, 1))
    return httpx.AsyncClient(transport=transport, base_url="http://casino")


async def test_a_guest() -> None:
    parts = dependencies()
    response = await client(parts).post("/api/auth/guest")
    assert response.status_code == 201
    guest = response.json()
    assert set(guest) == {"access_token", "refresh_token", "token_type", "expires_in", "user_id", "role"}
    assert (guest["token_type"], guest["expires_in"], guest["role"]) == ("bearer", 900, "STANDARD")
    assert parts.tokens.verify(guest["access_token"]).user_id == guest["user_id"]
    assert cast(FakeAccounts, parts.accounts).created == [guest["user_id"]]


async def test_a_guest_comes_back() -> None:
    parts = dependencies()
    guest = (await client(parts).post("/api/auth/guest")).json()
    body = {"refresh_token": guest["refresh_token"]}
    again = (await client(parts).post("/api/auth/refresh", json=body)).json()
    assert again["user_id"] == guest["user_id"]
    assert parts.tokens.verify(again["access_token"]).user_id == guest["user_id"]


async def test_switched_off() -> None:
    parts = dependencies(guests_enabled=False)
    response = await client(parts).post("/api/auth/guest")
    assert (response.status_code, response.json()["code"]) == (403, "guests_disabled")
    assert cast(FakeAccounts, parts.accounts).created == []


async def test_rate_limit_by_address() -> None:
    parts = dependencies()
    one, other = client(parts), client(parts, "192.0.2.2")
    statuses = [(await one.post("/api/auth/guest")).status_code for _ in range(6)]
    assert statuses == [201] * 5 + [429]
    refusal = await one.post("/api/auth/guest")
    assert refusal.json()["code"] == "rate_limited"
    assert 1 <= int(refusal.headers["retry-after"]) <= 10
    assert (await other.post("/api/auth/guest")).status_code == 201
    assert len(cast(FakeAccounts, parts.accounts).created) == 6


async def test_no_token_without_a_durable_account() -> None:
    parts = dependencies()
    cast(FakeAccounts, parts.accounts).error = Unavailable("The database is away.")
    response = await client(parts).post("/api/auth/guest")
    assert (response.status_code, response.json()["code"]) == (503, "unavailable")
    assert "access_token" not in response.text


def test_user_ids() -> None:
    ids = {new_user_id() for _ in range(1000)}
    assert len(ids) == 1000
    assert all(re.fullmatch(r"u_[a-z2-7]{26}", user_id) for user_id in ids)


@pytest.mark.parametrize(
    ("host", "key"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("", "unknown"),
        (None, "unknown"),
        ("testclient", "unknown"),
    ],
)
def test_address_key(host: Any, key: str) -> None:
    assert address_key(host) == key


async def test_forwarded_for_is_believed_from_trusted_proxies_only(serve: Any) -> None:
    for proxies, expected in (((), 429), (("127.0.0.1",), 201)):
        gateway = await serve(trusted_proxies=proxies)
        async with httpx.AsyncClient(base_url=gateway.http) as http:
            for number in range(6):
                headers = {"X-Forwarded-For": f"198.51.100.{number}"}
                response = await http.post("/api/auth/guest", headers=headers)
        assert response.status_code == expected
