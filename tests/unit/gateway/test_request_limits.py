"""Requests are counted per user, or per address where nobody need be signed in."""

from __future__ import annotations

import httpx

from gateway.rate_limit import LocalRateLimiter
from tests.unit.gateway.fakes import FakeClock
from tests.unit.gateway.house import House


def limited(**which: str) -> House:
    clock = FakeClock()
    return House(**{name: LocalRateLimiter(clock, burst=2, per_s=0.1) for name in which.values()})


async def test_each_user_has_a_count_of_their_own() -> None:
    house = limited(which="user_rate")
    async with house.client(None) as client:
        for user in ("u_standard", "u_vip"):
            statuses = [
                (await client.get("/api/dashboard", headers=house.bearer(user))).status_code for _ in range(3)
            ]
            assert statuses == [200, 200, 429]


async def test_a_bad_token_takes_nothing_from_its_user() -> None:
    house = limited(which="user_rate")
    good = house.bearer("u_vip")
    forged = {"Authorization": good["Authorization"][:-4] + "AAAA"}
    async with house.client(None) as client:
        for _ in range(5):
            assert (await client.get("/api/dashboard", headers=forged)).status_code == 401
        assert (await client.get("/api/dashboard", headers=good)).status_code == 200


async def test_public_routes_count_addresses() -> None:
    house = limited(which="address_rate")
    statuses: dict[str, list[int]] = {}
    for host in ("192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8::2"):
        transport = httpx.ASGITransport(house.app, client=(host, 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://casino") as client:
            statuses[host] = [(await client.get("/api/games/crash/fairness")).status_code for _ in range(3)]
            assert (await client.get("/healthz")).status_code == 200
    assert statuses["192.0.2.1"] == statuses["192.0.2.2"] == statuses["2001:db8::1"] == [200, 200, 429]
    assert statuses["2001:db8::2"] == [429, 429, 429], "the same customer"
