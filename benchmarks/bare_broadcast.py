"""The least a broadcast can be: a server that writes one frame to every socket, and knows nothing.

``python -m benchmarks.bare_broadcast``, driven by ``broadcast`` over its stdin. Owns the ceiling that
the casino's broadcast is compared with: the same event loop, the same sockets, a frame of the same
size, but no sessions, no subscriptions, no actors behind it. It says its port first, then obeys
``tick BYTES`` (ten frames a second, each with the time), ``flood BYTES`` (one frame over and over, as
fast as it can) and ``idle``, and answers each with its process's CPU seconds so far.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import socket
import sys
from time import process_time, time_ns
from typing import cast

import msgspec
import uvloop

from clients.protocol import SUBPROTOCOL

_TICK_S = 0.1
_BACKLOG = 4096
_HANDSHAKE_KEY = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def tick_payload(payload_bytes: int, number: int, now_ms: int) -> bytes:
    """A ``crash_tick`` as the casino's, padded to ``payload_bytes`` if it is shorter."""
    data = {"table": "", "round": 1, "elapsed_ms": number * 100, "multiplier": 1.5}
    event = {"type": "crash_tick", "user_id": None, "data": data, "timestamp": now_ms, "seq": None}
    missing = payload_bytes - len(msgspec.msgpack.encode(event))
    # A MessagePack string has one byte of header up to 31 characters, two up to 255.
    data["table"] = "x" * max(0, missing - (missing > 31))
    return msgspec.msgpack.encode(event)


def framed(payload: bytes) -> bytes:
    """An unmasked binary WebSocket frame."""
    length = len(payload)
    if length < 126:
        return bytes((0x82, length)) + payload
    return b"\x82\x7e" + length.to_bytes(2, "big") + payload


class Listener(asyncio.Protocol):
    """One socket: shakes hands, and then only listens."""

    def __init__(self, server: BareServer) -> None:
        self._server = server
        self._transport: asyncio.Transport | None = None
        self._head = b""
        self._is_open = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's are of no class of asyncio's.
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        if self._is_open or self._transport is None:
            return
        self._head += data
        if b"\r\n\r\n" not in self._head:
            return
        lines = self._head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        digest = hashlib.sha1((headers.get("sec-websocket-key", "") + _HANDSHAKE_KEY).encode())  # noqa: S324
        self._transport.write(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Protocol: {SUBPROTOCOL}\r\n"
            f"Sec-WebSocket-Accept: {base64.b64encode(digest.digest()).decode()}\r\n\r\n".encode()
        )
        self._is_open = True
        self._server.writable[self] = self._transport

    def connection_lost(self, exc: Exception | None) -> None:
        self._server.writable.pop(self, None)
        self._is_open = False

    def pause_writing(self) -> None:
        self._server.writable.pop(self, None)

    def resume_writing(self) -> None:
        if self._is_open and self._transport is not None:
            self._server.writable[self] = self._transport


class BareServer:
    """Writes to whoever is connected and keeps up."""

    def __init__(self) -> None:
        self.writable: dict[Listener, asyncio.Transport] = {}
        self._sending: asyncio.Task[None] | None = None
        self._ticks = 0
        self._server: asyncio.Server | None = None

    async def start(self) -> int:
        """Listen on a free port of this machine, and return it."""
        # The protocol is spelled out, or asyncio leaves Nagle's algorithm on.
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listener.bind(("127.0.0.1", 0))
        listener.setblocking(False)
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: Listener(self), sock=listener, backlog=_BACKLOG)
        return int(listener.getsockname()[1])

    async def obey(self, order: str) -> None:
        """``tick BYTES``, ``flood BYTES`` or ``idle``.

        Raises:
            ValueError: no such order.
        """
        if self._sending is not None:
            self._sending.cancel()
            await asyncio.gather(self._sending, return_exceptions=True)
            self._sending = None
        match order.split():
            case ["tick", size]:
                self._sending = asyncio.create_task(self._tick(int(size)))
            case ["flood", size]:
                self._sending = asyncio.create_task(self._flood(int(size)))
            case ["idle"]:
                pass
            case _:
                raise ValueError(f"no such order: {order!r}")

    async def stop(self) -> None:
        await self.obey("idle")
        if self._server is not None:
            self._server.close()
        for transport in list(self.writable.values()):
            transport.abort()

    async def _tick(self, payload_bytes: int) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            self._ticks += 1
            frame = framed(tick_payload(payload_bytes, self._ticks, time_ns() // 1_000_000))
            for transport in self.writable.values():
                transport.write(frame)
            due += _TICK_S
            await asyncio.sleep(due - loop.time())

    async def _flood(self, payload_bytes: int) -> None:
        self._ticks += 1
        frame = framed(tick_payload(payload_bytes, self._ticks, time_ns() // 1_000_000))
        while True:
            for transport in list(self.writable.values()):
                transport.write(frame)
            # uvloop sends at the end of the turn, all that was written to a socket at once: one
            # frame for each call of the kernel, as for a tick.
            await asyncio.sleep(0 if self.writable else 0.001)


async def _serve() -> None:
    loop = asyncio.get_running_loop()
    orders = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
    server = BareServer()
    _answer(await server.start())
    while order := (await orders.readline()).decode().strip():
        await server.obey(order)
        _answer(process_time())
    await server.stop()


def _answer(value: float) -> None:
    sys.stdout.write(f"{value}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    uvloop.run(_serve())
