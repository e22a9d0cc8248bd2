"""On the public port metrics are for those who stand next to it."""

from __future__ import annotations

import httpx
import pytest

from tests.unit.gateway.house import House


async def status(client: str, readers: tuple[str, ...] = (), **headers: str) -> int:
    house = House(metrics_readers=readers)
    transport = httpx.ASGITransport(house.app, client=(client, 1234))
    async with httpx.AsyncClient(transport=transport, base_url="http://casino") as http:
        response = await http.get("/metrics", headers=headers)
        assert ("ws_active_connections" in response.text) == (response.status_code == 200)
        return response.status_code


@pytest.mark.parametrize("address", ["127.0.0.1", "127.3.2.1", "::1", "::ffff:127.0.0.1"])
async def test_loopback_may_read(address: str) -> None:
    assert await status(address) == 200


@pytest.mark.parametrize("address", ["203.0.113.9", "10.0.0.1", "2001:db8::1", "testclient", ""])
async def test_strangers_find_no_such_page(address: str) -> None:
    assert await status(address) == 404


async def test_configured_networks_may_read() -> None:
    assert await status("10.1.2.3", ("10.1.0.0/16",)) == 200
    assert await status("10.2.2.3", ("10.1.0.0/16",)) == 404


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "X-Real-IP", "Via"])
async def test_nobody_gets_there_through_a_proxy_on_the_same_machine(header: str) -> None:
    assert await status("127.0.0.1", **{header: "1.1 proxy"}) == 404
