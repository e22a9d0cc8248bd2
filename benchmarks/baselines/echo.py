"""``echo``: the least a server can be that answers each command by its id, with an answer of a spin's size.

``python -m benchmarks.baselines.echo`` serves it. Owns the upper bound of anything behind a WebSocket in
Python: picows, one decoding, one encoding, nothing behind. Sign-up is plain HTTP; since picows takes
nothing but a handshake, it has a port of its own, and the address of the protocol redirects to it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import msgspec
from picows import (
    WSFrame,
    WSListener,
    WSMsgType,
    WSTransport,
    WSUpgradeRequest,
    WSUpgradeResponse,
    WSUpgradeResponseWithListener,
    ws_create_server,
)

from benchmarks.baselines.baseline import Baseline
from benchmarks.baselines.child import served
from benchmarks.baselines.frames import decode_frame, result
from benchmarks.baselines.serving import LOOPBACK, Arguments, listening, run
from benchmarks.baselines.slot_machine import Player, spin
from benchmarks.load.target import Target
from clients.protocol import GUEST_PATH, SUBPROTOCOL, SYNC_PATH

_USER = "u_echo"
_BINARY = WSMsgType.BINARY
_READ_BUFFER_BYTES = 1024

_SPUN = msgspec.msgpack.encode(spin(Player(10_000, 0, 300, bytes(32), "e4d0ba2acf820351"), 1))
_ENTERED = msgspec.msgpack.encode({"user_id": _USER})
_GUEST = msgspec.json.encode(
    {"access_token": "echo", "token_type": "bearer", "expires_in": 24 * 3600, "user_id": _USER}
)


class Echo(WSListener):
    """One connection."""

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type is _BINARY:
            try:
                asked = decode_frame(frame.get_payload_as_bytes())
            except msgspec.DecodeError:
                transport.disconnect()
                return
            data = _ENTERED if asked.type == "authenticate" else _SPUN
            transport.send(_BINARY, result(asked.id, data))
        elif frame.msg_type is WSMsgType.CLOSE:
            transport.send_close()
            transport.disconnect()


def _accept(request: WSUpgradeRequest) -> WSUpgradeResponseWithListener:
    response = WSUpgradeResponse.create_101_response({"Sec-WebSocket-Protocol": SUBPROTOCOL})
    return WSUpgradeResponseWithListener(response, Echo())


@asynccontextmanager
async def serving(arguments: Arguments) -> AsyncIterator[str]:
    listener = listening()
    sockets = await ws_create_server(_accept, sock=listener, read_buffer_init_size=_READ_BUFFER_BYTES)
    door = _Door(f"ws://{LOOPBACK}:{listener.getsockname()[1]}{SYNC_PATH}")
    entrance = await asyncio.start_server(door.opened, LOOPBACK, 0)
    try:
        yield f"http://{LOOPBACK}:{entrance.sockets[0].getsockname()[1]}"
    finally:
        entrance.close()
        sockets.close()


class _Door:
    """HTTP, as much as a sign-up and a redirection need."""

    def __init__(self, sync_url: str) -> None:
        self._sync_url = sync_url

    async def opened(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                lines = head.split("\r\n")
                fields = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
                await reader.readexactly(int(fields.get("content-length", "0")))
                writer.write(self._answer(lines[0]))
                await writer.drain()
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError, ValueError):
            pass
        finally:
            writer.close()

    def _answer(self, request: str) -> bytes:
        if request.startswith(f"POST {GUEST_PATH} "):
            head = f"201 Created\r\nContent-Type: application/json\r\nContent-Length: {len(_GUEST)}"
            return f"HTTP/1.1 {head}\r\n\r\n".encode() + _GUEST
        if request.startswith(f"GET {SYNC_PATH} "):
            head = f"307 Temporary Redirect\r\nLocation: {self._sync_url}\r\nContent-Length: 0"
        else:
            head = "404 Not Found\r\nContent-Length: 0"
        return f"HTTP/1.1 {head}\r\n\r\n".encode()


def started() -> AbstractAsyncContextManager[Target]:
    return served("echo", "benchmarks.baselines.echo")


BASELINE = Baseline(
    "echo", "a WebSocket server that answers every command at once, with nothing behind it", started
)

if __name__ == "__main__":
    run(serving)
