"""The front of the baselines that people would write themselves: FastAPI, its WebSocket, a signed token.

Owns sign-up, authentication and the conversation. Where a spin is decided and made durable is its
``Players``' business. Tuned where that costs no more than a line: uvloop, httptools, the sans-I/O
WebSocket implementation (the fastest of uvicorn's), no compression, no access log, MessagePack by
msgspec. Less is told than the casino tells: the answer alone, without its three events.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from http import HTTPStatus
from socket import socket
from time import time
from typing import Protocol

import jwt
import msgspec
import uvicorn
from fastapi import FastAPI, WebSocket, WebSocketDisconnect

from benchmarks.baselines.frames import ClientFrame, decode_frame, error, result, token_of
from benchmarks.baselines.slot_machine import INVALID_DATA, Refused, SpinSlots
from clients.protocol import CLOSE_NOT_AUTHENTICATED, GUEST_PATH, SUBPROTOCOL, SYNC_PATH

_ALGORITHM = "HS256"
_TOKEN_LIFETIME_S = 24 * 3600
_MESSAGE_BYTES_MAX = 4096
_BACKLOG = 4096

_decode_spin = msgspec.msgpack.Decoder(SpinSlots).decode


class Players(Protocol):
    """Who plays, and what becomes of it. Opened before the first request, closed after the last."""

    async def sign_up(self) -> int:
        """A new player's number."""
        ...

    async def enter(self, player: int) -> None:
        """The player has shown a token on a connection. Raises ``Refused``."""
        ...

    async def leave(self, player: int) -> None:
        """The connection has ended."""
        ...

    async def spin(self, player: int, command_id: str, stake: int) -> bytes:
        """The answer, durable, as a MessagePack map; the same for the same id. Raises ``Refused``."""
        ...


OpenPlayers = Callable[[], AbstractAsyncContextManager[Players]]


class TokenPair(msgspec.Struct):
    access_token: str
    token_type: str
    expires_in: int
    user_id: str


class Tokens:
    """Access tokens, of this server's key."""

    def __init__(self, key: str) -> None:
        self._key = key

    def pair(self, player: int) -> TokenPair:
        claims = {"sub": str(player), "exp": int(time()) + _TOKEN_LIFETIME_S}
        return TokenPair(
            jwt.encode(claims, self._key, _ALGORITHM), "bearer", _TOKEN_LIFETIME_S, user_id(player)
        )

    def player(self, token: str) -> int:
        """Raises ``jwt.InvalidTokenError``, ``ValueError``."""
        return int(jwt.decode(token, self._key, [_ALGORITHM], options={"require": ["exp", "sub"]})["sub"])


def new_key() -> str:
    return secrets.token_hex(32)


def user_id(player: int) -> str:
    return f"u_{player}"


def application(players: Players, tokens: Tokens) -> FastAPI:
    app = FastAPI(openapi_url=None)

    @app.post(GUEST_PATH, status_code=HTTPStatus.CREATED)
    async def create_guest() -> dict[str, object]:
        return msgspec.structs.asdict(tokens.pair(await players.sign_up()))

    @app.websocket(SYNC_PATH)
    async def sync(connection: WebSocket) -> None:
        await connection.accept(subprotocol=SUBPROTOCOL)
        try:
            player = await _authenticated(connection, players, tokens)
            if player is None:
                await connection.close(CLOSE_NOT_AUTHENTICATED)
                return
            try:
                while True:
                    await connection.send_bytes(await _answer(await _frame(connection), player, players))
            finally:
                await players.leave(player)
        except WebSocketDisconnect:
            pass
        except msgspec.DecodeError:
            await connection.close(1007)

    return app


async def _frame(connection: WebSocket) -> ClientFrame:
    """Raises ``WebSocketDisconnect``, ``msgspec.DecodeError``."""
    message = await connection.receive()
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message.get("code", 1005))
    return decode_frame(message.get("bytes") or b"")


async def _authenticated(connection: WebSocket, players: Players, tokens: Tokens) -> int | None:
    frame = await _frame(connection)
    try:
        if frame.type != "authenticate":
            raise ValueError("the first message must be authenticate")
        player = tokens.player(token_of(frame))
        await players.enter(player)
    except (jwt.InvalidTokenError, ValueError) as refusal:
        await connection.send_bytes(error(frame.id, "not_authenticated", str(refusal)))
        return None
    except Refused as refusal:
        await connection.send_bytes(error(frame.id, refusal.code, refusal.message))
        return None
    await connection.send_bytes(result(frame.id, msgspec.msgpack.encode({"user_id": user_id(player)})))
    return player


async def _answer(frame: ClientFrame, player: int, players: Players) -> bytes:
    if frame.type != "spin_slots":
        return error(frame.id, "unknown_command", f"There is no command {frame.type!r}.")
    try:
        stake = _decode_spin(frame.data).stake
        return result(frame.id, await players.spin(player, frame.id, stake))
    except msgspec.DecodeError as mistake:
        return error(frame.id, INVALID_DATA, str(mistake))
    except Refused as refusal:
        return error(frame.id, refusal.code, refusal.message)


class _TellingServer(uvicorn.Server):
    """uvicorn that says when it takes traffic, and leaves the signals to who runs it."""

    def __init__(self, config: uvicorn.Config, on_started: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_started = on_started

    async def startup(self, sockets: list[socket] | None = None) -> None:
        await super().startup(sockets)
        self._on_started()


async def serve(app: FastAPI, listener: socket, on_started: Callable[[], None]) -> None:
    """Serve until a signal."""
    config = uvicorn.Config(
        app,
        http="httptools",
        ws="websockets-sansio",
        ws_max_size=_MESSAGE_BYTES_MAX,
        ws_per_message_deflate=False,
        ws_ping_interval=None,
        lifespan="off",
        access_log=False,
        log_level="warning",
        server_header=False,
        date_header=False,
        backlog=_BACKLOG,
        timeout_graceful_shutdown=1,
    )
    await _TellingServer(config, on_started).serve(sockets=[listener])
