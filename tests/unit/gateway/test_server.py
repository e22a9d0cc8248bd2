"""Starting, sharing a port, stopping."""

from __future__ import annotations

import asyncio
import signal
import socket

import httpx
import pytest

from gateway.limits import Limits
from gateway.server import GatewayServer
from tests.unit.gateway.conftest import Serve
from tests.unit.gateway.fakes import dependencies


async def test_start_and_stop(serve: Serve) -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    gateway = await serve()
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
    async with httpx.AsyncClient(base_url=gateway.http) as client:
        response = await client.get("/healthz")
        assert response.status_code == 200
        assert "server" not in response.headers
    await gateway.server.stop()
    await gateway.server.stop()
    with pytest.raises(OSError, match=r"refused|Connect"):
        await asyncio.open_connection("127.0.0.1", gateway.server.port)


async def test_two_gateways_share_a_port(serve: Serve) -> None:
    one = await serve()
    two = GatewayServer(dependencies())
    await two.start("127.0.0.1", one.server.port)
    await one.server.stop()
    async with httpx.AsyncClient(base_url=one.http) as client:
        assert (await client.get("/healthz")).status_code == 200
    await two.stop()


async def test_small_writes_leave_at_once(serve: Serve) -> None:
    gateway = await serve()
    async with gateway.connect():
        (connection,) = gateway.server._hub.sockets
        transport = connection._transport  # type: ignore[attr-defined]
        accepted = transport.get_extra_info("socket")
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


async def test_the_kernel_keeps_little_that_is_unsent(serve: Serve) -> None:
    for limits, expected in (({}, 16 * 1024), ({"kernel_unsent_bytes_max": 0}, 0)):
        gateway = await serve(Limits(close_deadline_s=0.3, **limits))
        async with gateway.connect():
            (connection,) = gateway.server._hub.sockets
            accepted = connection._transport.get_extra_info("socket")  # type: ignore[attr-defined]
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT) == expected


async def test_an_address_that_cannot_be_had() -> None:
    server = GatewayServer(dependencies())
    with pytest.raises(OSError, match="assign"):
        await server.start("203.0.113.1", 0)
    await server.stop()


async def test_stop_does_not_wait_for_idle_keep_alive_connections(serve: Serve) -> None:
    gateway = await serve()
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.server.port)
    writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
    await reader.readuntil(b"}")
    async with asyncio.timeout(2):
        await gateway.server.stop()
    writer.close()
