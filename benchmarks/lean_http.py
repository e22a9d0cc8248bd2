"""HTTP/1.1 with as little work per request as possible, so that a measured time is the server's.

Owns a pool of connections that are kept alive. One request at a time per connection; answers must say
their length. No redirects, no proxies, no TLS.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from types import TracebackType
from typing import NamedTuple
from urllib.parse import urlsplit

_HEAD_END = b"\r\n\r\n"


class Answer(NamedTuple):
    status: int
    body: bytes


class HttpFailure(Exception):
    """No answer: the connection broke, or what came was not HTTP. The request may have had effect."""


class LeanHttp:
    """``async with LeanHttp(url) as http``. Opens as many connections as requests are under way."""

    def __init__(self, url: str, connections_max: int = 512) -> None:
        """``url``: ``http://host:port``, without a path."""
        parts = urlsplit(url)
        if parts.scheme != "http" or parts.hostname is None:
            raise ValueError(f"not an http address: {url!r}")
        self._host = parts.hostname
        self._port = parts.port or 80
        self._authority = parts.netloc
        self._free = asyncio.Semaphore(connections_max)
        self._idle: deque[_Connection] = deque()

    async def __aenter__(self) -> LeanHttp:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        while self._idle:
            self._idle.pop().close()

    async def request(self, method: str, path: str, headers: Mapping[str, str], body: bytes = b"") -> Answer:
        """Raises ``HttpFailure``. A connection that broke while idle is replaced, not reported."""
        lines = [f"{method} {path} HTTP/1.1", f"Host: {self._authority}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        if body or method != "GET":
            lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
        message = "\r\n".join(lines).encode() + _HEAD_END + body
        async with self._free:
            try:
                connection = await self._connection()
                answer, stays = await connection.exchange(message)
            except (OSError, ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
                raise HttpFailure(repr(error)) from error
            if stays:
                self._idle.append(connection)
            else:
                connection.close()
            return answer

    async def _connection(self) -> _Connection:
        while self._idle:
            # The latest first, so that a short burst's connections are left to end.
            connection = self._idle.pop()
            if connection.is_open:
                return connection
            connection.close()
        return _Connection(*await asyncio.open_connection(self._host, self._port))


class _Connection:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @property
    def is_open(self) -> bool:
        return not (self._reader.at_eof() or self._writer.is_closing())

    def close(self) -> None:
        self._writer.close()

    async def exchange(self, message: bytes) -> tuple[Answer, bool]:
        """The answer, and whether the connection can be used again."""
        done = False
        try:
            self._writer.write(message)
            head = (await self._reader.readuntil(_HEAD_END)).lower()
            status = int(head[9:12])
            length = 0
            at = head.find(b"\r\ncontent-length:")
            if at >= 0:
                length = int(head[at + 17 : head.index(b"\r\n", at + 2)])
            body = await self._reader.readexactly(length) if length else b""
            done = True
            return Answer(status, body), b"\r\nconnection: close" not in head
        finally:
            if not done:
                self.close()
