"""Slow and endless HTTP requests."""

from __future__ import annotations

import asyncio

import pytest

from gateway.limits import Limits
from tests.unit.gateway.conftest import Serve
from tests.unit.gateway.fakes import Gateway

LIMITS = Limits(request_deadline_s=0.15, request_head_bytes_max=2000, close_deadline_s=0.2)
GET = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"


async def connected(gateway: Gateway) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", gateway.server.port)


@pytest.mark.parametrize(
    "start", [b"", b"GET /heal", b"POST /api/auth/guest HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nab"]
)
async def test_a_request_that_does_not_end(serve: Serve, start: bytes) -> None:
    gateway = await serve(LIMITS)
    reader, writer = await connected(gateway)
    writer.write(start)
    async with asyncio.timeout(2):
        await reader.read()
    writer.close()


async def test_dribbling_does_not_extend_the_deadline(serve: Serve) -> None:
    gateway = await serve(LIMITS)
    reader, writer = await connected(gateway)
    writer.write(GET)
    await reader.readuntil(b"}")
    async with asyncio.timeout(2):
        for byte in GET[:-1]:
            if reader.at_eof() or writer.is_closing():
                break
            writer.write(bytes((byte,)))
            await asyncio.sleep(0.05)
            if (await _soon(reader)).startswith(b"HTTP/1.1 408"):
                break
        else:
            pytest.fail("the second request took as long as it liked")
    writer.close()


async def _soon(reader: asyncio.StreamReader) -> bytes:
    try:
        return await asyncio.wait_for(reader.read(1000), 0.001)
    except TimeoutError:
        return b""


async def test_an_endless_head(serve: Serve) -> None:
    gateway = await serve(LIMITS)
    reader, writer = await connected(gateway)
    writer.write(b"GET / HTTP/1.1\r\n" + b"x-long: " + b"y" * 5000)
    async with asyncio.timeout(2):
        assert (await reader.read()).startswith(b"HTTP/1.1 431")
    writer.close()


async def test_many_requests_on_one_connection(serve: Serve) -> None:
    gateway = await serve(LIMITS)
    reader, writer = await connected(gateway)
    for _ in range(100):
        writer.write(GET)
        assert (await reader.readuntil(b"}")).startswith(b"HTTP/1.1 200")
    writer.write(GET * 3)
    for _ in range(3):
        assert (await reader.readuntil(b"}")).startswith(b"HTTP/1.1 200")
    writer.close()


async def test_too_many_connections(serve: Serve) -> None:
    gateway = await serve(Limits(connections_max=2, close_deadline_s=0.2))
    others = [await connected(gateway) for _ in range(2)]
    await asyncio.sleep(0.02)
    reader, writer = await connected(gateway)
    async with asyncio.timeout(2):
        assert (await reader.read()).startswith(b"HTTP/1.1 503")
    writer.close()
    for _, other in others:
        other.close()


async def test_garbage(serve: Serve) -> None:
    gateway = await serve(LIMITS)
    reader, writer = await connected(gateway)
    writer.write(b"\x16\x03\x01 this is TLS\r\n\r\n")
    async with asyncio.timeout(2):
        assert (await reader.read()).startswith(b"HTTP/1.1 400")
    writer.close()
