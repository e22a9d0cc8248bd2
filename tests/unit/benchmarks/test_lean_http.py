"""The benchmark's own HTTP: reuse, replacement, failure."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from benchmarks.lean_http import Answer, HttpFailure, LeanHttp

Handler = Callable[[bytes, bytes], bytes | None]
"""From head and body to the whole answer; None hangs up."""


class Server:
    def __init__(self, handler: Handler) -> None:
        self.handler = handler
        self.connections = 0
        self.requests: list[tuple[bytes, bytes]] = []
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = next(
                    (int(line[16:]) for line in head.split(b"\r\n") if line.startswith(b"Content-Length: ")),
                    0,
                )
                body = await reader.readexactly(length)
                self.requests.append((head, body))
                answer = self.handler(head, body)
                if answer is None:
                    return
                writer.write(answer)
        except asyncio.IncompleteReadError:
            pass
        finally:
            writer.close()


@asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[Server]:
    server = Server(handler)
    serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]] = server.serve
    listener = await asyncio.start_server(serve, "127.0.0.1", 0)
    server.url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    async with listener:
        yield server
        listener.close()


def ok(head: bytes, body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX: y\r\n\r\nhi"


async def test_a_connection_serves_many_requests() -> None:
    async with serving(ok) as server, LeanHttp(server.url) as http:
        assert await http.request("GET", "/a", {"Authorization": "Bearer x"}) == Answer(200, b"hi")
        assert await http.request("POST", "/b", {}, b'{"stake":1}') == Answer(200, b"hi")
    (first, _), (second, body) = server.requests
    assert server.connections == 1
    assert first.startswith(b"GET /a HTTP/1.1\r\nHost: 127.0.0.1:")
    assert b"\r\nAuthorization: Bearer x\r\n" in first
    assert b"Content-Length" not in first
    assert (b"\r\nContent-Length: 11\r\n" in second, body) == (True, b'{"stake":1}')


async def test_as_many_connections_as_requests_under_way() -> None:
    async with serving(ok) as server, LeanHttp(server.url) as http:
        await asyncio.gather(*(http.request("GET", "/", {}) for _ in range(5)))
        await asyncio.gather(*(http.request("GET", "/", {}) for _ in range(5)))
        assert server.connections == 5


async def test_whoever_says_close_is_not_used_again() -> None:
    def closing(head: bytes, body: bytes) -> bytes:
        return b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"

    async with serving(closing) as server, LeanHttp(server.url) as http:
        for _ in range(2):
            assert await http.request("DELETE", "/", {}) == Answer(204, b"")
        assert server.connections == 2


@pytest.mark.parametrize("answer", [None, b"nonsense\r\n\r\n"])
async def test_no_answer_is_a_failure(answer: bytes | None) -> None:
    async with serving(lambda head, body: answer) as server, LeanHttp(server.url) as http:
        with pytest.raises(HttpFailure):
            await http.request("GET", "/", {})


@pytest.mark.parametrize("url", ["https://x", "ftp://x", "nothing"])
def test_addresses_that_are_none(url: str) -> None:
    with pytest.raises(ValueError, match="not an http address"):
        LeanHttp(url)
