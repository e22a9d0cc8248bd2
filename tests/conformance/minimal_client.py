"""The smallest client there can be: ``websockets``, ``msgpack`` and the standard library.

Written from the protocol's description and the golden frames. It must import none of our code:
it is the proof that a stranger could have written it.
"""

from __future__ import annotations

import json
import urllib.request
from types import TracebackType
from typing import Any

import msgpack
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

SUBPROTOCOL = "casino.v1.msgpack"


def sign_in_guest(casino_url: str) -> dict[str, Any]:
    """``{access_token, token_type, expires_in, user_id}`` of a new guest."""
    request = urllib.request.Request(f"{casino_url.rstrip('/')}/api/auth/guest", method="POST")
    with urllib.request.urlopen(request, timeout=30) as response:
        account: dict[str, Any] = json.load(response)
    return account


class MinimalClient:
    """One connection. Checks that events are numbered without gaps; reports everything else."""

    def __init__(self, casino_url: str, last_seq: int | None = None) -> None:
        self.url = casino_url.rstrip("/").replace("http", "ws", 1) + "/api/realtime/sync"
        self.last_seq = last_seq
        self._socket: ClientConnection | None = None

    async def __aenter__(self) -> MinimalClient:
        self._socket = await connect(self.url, subprotocols=[Subprotocol(SUBPROTOCOL)], compression=None)
        assert self._socket.subprotocol == SUBPROTOCOL
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._socket is not None:
            await self._socket.close()

    async def send(self, message: Any) -> None:
        assert self._socket is not None
        await self._socket.send(msgpack.packb(message))

    async def receive(self) -> dict[str, Any]:
        assert self._socket is not None
        payload = await self._socket.recv()
        assert isinstance(payload, bytes), "a text frame on a binary subprotocol"
        message: dict[str, Any] = msgpack.unpackb(payload)
        seq = message.get("seq")
        if message["type"] == "initial_state":
            self.last_seq = seq
        elif seq is not None:
            assert self.last_seq is not None, "an event before the state"
            assert seq == self.last_seq + 1, f"event {seq} after {self.last_seq}"
            self.last_seq = seq
        return message
