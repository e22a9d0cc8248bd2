"""A casino with no rules and no memory worth the name, to test the bots against, and to measure
how fast they could be: ``python tests/unit/benchmarks/fake_casino.py PORT``.

It keeps the protocol's promises (same id, same reply; events numbered without gaps; resume) and
breaks them on request.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import re
import sys
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from time import time_ns
from typing import Any, cast

import msgspec
from websockets.speedups import apply_mask

from tests.unit.benchmarks.fake_table import SALT, FakeTable, Refused

UNJOURNALED = ("get_profile", "get_crash_bets")

_encode = msgspec.msgpack.Encoder().encode


class _Message(msgspec.Struct):
    type: str
    id: str
    data: dict[str, Any]


_decode = msgspec.msgpack.Decoder(_Message).decode


@dataclass
class Player:
    user_id: str
    gold: int = 10_000
    nonce: int = 0
    seq: int = 1
    replies: dict[str, dict[str, Any]] = field(default_factory=dict)
    settled: list[dict[str, Any]] = field(default_factory=list)
    """Crash bets, oldest first, as ``get_crash_bets`` tells them."""
    pushed: dict[int, bytes] = field(default_factory=dict)
    """Events that came unasked, by seq, for whoever resumes."""


@dataclass
class Faults:
    """Every n-th command: its reply is lost, its connection dies (before or after the work),
    one of its events is left out, an error is given. 0 is never."""

    lose_reply: int = 0
    drop_before: int = 0
    drop_after: int = 0
    skip_event: int = 0
    overloaded: int = 0
    internal: int = 0
    apply_twice: int = 0


class FakeCasino:
    def __init__(
        self, faults: Faults | None = None, remember: bool = True, table: FakeTable | None = None
    ) -> None:
        self.table = table
        if table is not None:
            table.casino = self
        self.forget_events = False
        """A resume is answered with a snapshot."""
        self._rounds: asyncio.Task[None] | None = None
        self.faults = faults or Faults()
        self.remember = remember
        self.players: dict[str, Player] = {}
        self.journal: list[tuple[str, str, dict[str, Any]]] = []
        self.commands = 0
        self.sign_ups = 0
        self.refuse_sign_ups = 0
        self.refuse_tokens = False
        self.token_lasts_s: int | None = None
        """With it there are refresh tokens, too."""
        self.tokens_given = 0
        self.renewals = 0
        """Tokens that were shown on a connection that had one."""
        self.seen: Counter[str] = Counter()
        self.connections: set[Connection] = set()
        self._server: asyncio.Server | None = None

    async def start(self, port: int = 0) -> str:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: Connection(self), "127.0.0.1", port)
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    def open_table(self) -> None:
        """Begin the first round."""
        assert self.table is not None
        self._rounds = asyncio.create_task(self.table.run())

    def broadcast(self, kind: str, data: dict[str, Any]) -> None:
        """To every subscriber, the same bytes."""
        frame = framed(topic_payload(kind, data))
        for connection in self.connections:
            if connection.subscribed:
                connection.transport.write(frame)

    def sign_out(self) -> None:
        """Close every connection for its token's sake."""
        for connection in self.connections:
            if connection.player is not None:
                connection.transport.write(b"\x88\x02" + (4401).to_bytes(2, "big"))

    def push(self, player: Player, kind: str, data: dict[str, Any]) -> None:
        """An event on a player's own stream."""
        player.seq += 1
        payload = event_payload(player, kind, data, player.seq)
        player.pushed[player.seq] = payload
        for connection in self.connections:
            if connection.player is player:
                connection.send(payload)

    async def stop(self) -> None:
        assert self._server is not None
        if self._rounds is not None:
            self._rounds.cancel()
            with suppress(asyncio.CancelledError):
                await self._rounds
        self._server.close()
        for connection in list(self.connections):
            connection.transport.abort()
        await asyncio.sleep(0)

    async def __aenter__(self) -> FakeCasino:
        self.url = await self.start()
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.stop()

    def hits(self, one_in: int) -> bool:
        return one_in > 0 and self.commands % one_in == 0

    def carry_out(self, player: Player, message: _Message) -> dict[str, Any]:
        reply = player.replies.get(message.id)
        if message.type in UNJOURNALED:
            return self._apply(player, message)
        if reply is None:
            reply = self._apply(player, message)
            if self.remember:
                player.replies[message.id] = reply
                self.journal.append((player.user_id, message.id, reply))
                if self.hits(self.faults.apply_twice):
                    self.journal.append((player.user_id, message.id, self._apply(player, message)))
        return reply

    def _apply(self, player: Player, message: _Message) -> dict[str, Any]:
        if message.type == "get_profile":
            return {"gold_balance": player.gold}
        if "crash" in message.type:
            assert self.table is not None
            return self.table.apply(player, message.type, message.data)
        if message.type == "spin_slots":
            player.gold -= message.data["stake"]
            player.nonce += 1
            return {
                "stake": message.data["stake"],
                "payout": 0,
                "gold_balance": player.gold,
                "server_seed_hash": "ab",
                "nonce": player.nonce - 1,
            }
        return {"gold_balance": player.gold}


class Connection(asyncio.Protocol):
    def __init__(self, casino: FakeCasino) -> None:
        self.casino = casino
        self.player: Player | None = None
        self.upgraded = False
        self.subscribed = False
        self.buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.casino.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.casino.connections.discard(self)

    def data_received(self, data: bytes) -> None:
        if self.buffer:
            data = self.buffer + data
            self.buffer = b""
        if not self.upgraded:
            head, separator, data = data.partition(b"\r\n\r\n")
            if not separator:
                self.buffer = head
                return
            expected = re.search(rb"(?i)content-length: (\d+)", head)
            if expected is not None and len(data) < int(expected[1]):
                self.buffer = head + separator + data
                return
            self.http(head.decode(), data)
            if not data or not self.upgraded:
                return
        start = 0
        while len(data) - start >= 6:
            length, header = data[start + 1] & 0x7F, 2
            if length == 126:
                length, header = int.from_bytes(data[start + 2 : start + 4], "big"), 4
            end = start + header + 4 + length
            if end > len(data):
                break
            mask = data[start + header : start + header + 4]
            payload = apply_mask(data[start + header + 4 : end], mask)
            if data[start] & 0x0F == 8:
                self.transport.write(b"\x88\x00")
                self.transport.close()
                return
            start = end
            self.message(_decode(payload))
        self.buffer = data[start:]

    def http(self, head: str, body: bytes) -> None:
        if head.startswith("POST /api/auth/refresh"):
            self.answer("200 OK", self.account(msgspec.json.decode(body)["refresh_token"].partition("#")[0]))
            return
        if head.startswith("POST /api/auth/guest"):
            self.guest()
            return
        if head.startswith("GET /api/games/crash/fairness"):
            self.fairness()
            return
        headers = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:])
        key = next(line for line in head.split("\r\n") if line.lower().startswith("sec-websocket-key"))
        digest = hashlib.sha1((key.split(": ")[1] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode())
        accept = base64.b64encode(digest.digest()).decode()
        assert "casino.v1.msgpack" in headers["sec-websocket-protocol"]
        self.upgraded = True
        self.transport.write(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Protocol: casino.v1.msgpack\r\nSec-WebSocket-Accept: {accept}\r\n\r\n".encode()
        )

    def guest(self) -> None:
        casino = self.casino
        casino.sign_ups += 1
        status, body = "201 Created", b"{}"
        if casino.sign_ups <= casino.refuse_sign_ups:
            status = "429 Too Many Requests\r\nRetry-After: 0"
        else:
            user_id = f"u_{casino.sign_ups}"
            casino.players[user_id] = Player(user_id)
            body = self.account(user_id)
        self.answer(status, body)

    def account(self, user_id: str) -> bytes:
        casino = self.casino
        casino.tokens_given += 1
        told: dict[str, Any] = {"access_token": user_id, "token_type": "bearer", "user_id": user_id}
        told["expires_in"] = 60
        if casino.token_lasts_s is not None:
            token = f"{user_id}#{casino.tokens_given}"
            told |= {"access_token": token, "refresh_token": token, "expires_in": casino.token_lasts_s}
        return msgspec.json.encode(told)

    def fairness(self) -> None:
        table = self.casino.table
        if table is None:
            self.answer("404 Not Found", b"{}")
            return
        told = {"table": "main", "terminating_hash": table.chain[0].hex(), "salt": SALT, "first_round": 1}
        self.answer("200 OK", msgspec.json.encode(told))

    def answer(self, status: str, body: bytes) -> None:
        head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
        self.transport.write(head.encode() + b"\r\n\r\n" + body)

    def message(self, message: _Message) -> None:
        player = self.player
        if player is None:
            self.authenticate(message)
            return
        casino = self.casino
        if message.type == "authenticate":
            casino.renewals += 1
            self.send(_encode({"type": "result", "id": message.id, "data": {"user_id": player.user_id}}))
            return
        casino.commands += 1
        faults = casino.faults
        casino.seen[message.type] += 1
        for one_in, code, retryable in (
            (faults.overloaded, "overloaded", True),
            (faults.internal, "internal", False),
        ):
            if casino.hits(one_in):
                error = {"code": code, "message": "", "retryable": retryable}
                self.send(_encode({"type": "error", "id": message.id, "data": error}))
                return
        if casino.hits(faults.drop_before):
            self.transport.abort()
            return
        if message.type in ("subscribe", "unsubscribe"):
            self.subscribe(message)
            return
        is_new = message.id not in player.replies and message.type not in UNJOURNALED
        try:
            reply = casino.carry_out(player, message)
        except Refused as refused:
            error = {"code": refused.args[0], "message": "", "retryable": False}
            self.send(_encode({"type": "error", "id": message.id, "data": error}))
            return
        frames = b""
        if is_new:
            profile = {"changes": {"gold_balance": player.gold, "exp": 3}}
            frames += self.event(player, "profile_update", profile)
            if casino.hits(faults.skip_event):
                player.seq += 1
            frames += self.event(player, "stats_update", {"stats": {"game_type": "slots", "plays": 3}})
            frames += self.event(player, "user_action", {"action_type": message.type, "context": {}})
        if casino.hits(faults.drop_after):
            self.transport.abort()
            return
        if not casino.hits(faults.lose_reply):
            frames += framed(_encode({"type": "result", "id": message.id, "data": reply}))
        self.transport.write(frames)

    def event(self, player: Player, kind: str, data: dict[str, Any]) -> bytes:
        player.seq += 1
        return framed(event_payload(player, kind, data, player.seq))

    def subscribe(self, message: _Message) -> None:
        table = self.casino.table
        if table is None or message.data != {"topic": "crash/main"}:
            error = {"code": "unknown_topic", "message": "", "retryable": False}
            self.send(_encode({"type": "error", "id": message.id, "data": error}))
            return
        if not self.casino.hits(self.casino.faults.lose_reply):
            self.send(_encode({"type": "result", "id": message.id, "data": message.data}))
        self.subscribed = message.type == "subscribe"
        if self.subscribed:
            table.subscriptions += 1
            self.send(topic_payload("crash_state", {"table": "main", "round": table.round, **table.view()}))

    def authenticate(self, message: _Message) -> None:
        player = self.casino.players.get(message.data["token"].partition("#")[0])
        if player is None or self.casino.refuse_tokens:
            error = {"code": "token_invalid", "message": "", "retryable": False}
            self.send(_encode({"type": "error", "id": message.id, "data": error}))
            self.transport.write(b"\x88\x02" + (4401).to_bytes(2, "big"))
            return
        self.player = player
        self.send(_encode({"type": "result", "id": message.id, "data": {"user_id": player.user_id}}))
        after = message.data.get("resume_from")
        if self.casino.forget_events:
            after = None
        self.send(event_payload(player, "sync_connected", {"resumed": after is not None}, None))
        if after is None:
            self.send(event_payload(player, "initial_state", {"gold_balance": player.gold}, player.seq))
            return
        for seq in range(after + 1, player.seq + 1):
            changes = {"changes": {"gold_balance": player.gold}}
            self.send(player.pushed.get(seq) or event_payload(player, "profile_update", changes, seq))

    def send(self, payload: bytes) -> None:
        self.transport.write(framed(payload))


def event_payload(player: Player, kind: str, data: dict[str, Any], seq: int | None) -> bytes:
    return _encode(
        {
            "type": kind,
            "user_id": player.user_id,
            "data": data,
            "timestamp": 1_700_000_000_000,
            "seq": seq,
        }
    )


def topic_payload(kind: str, data: dict[str, Any]) -> bytes:
    now_ms = time_ns() // 1_000_000
    return _encode({"type": kind, "user_id": None, "data": data, "timestamp": now_ms, "seq": None})


def framed(payload: bytes) -> bytes:
    length = len(payload)
    if length < 126:
        return bytes((0x82, length)) + payload
    return b"\x82\x7e" + length.to_bytes(2, "big") + payload


async def _serve(port: int) -> None:
    table = FakeTable(rounds=2) if "--crash" in sys.argv else None
    casino = FakeCasino(remember=table is not None, table=table)
    print(await casino.start(port), flush=True)
    if table is not None:
        # Everybody is in when the last one has subscribed.
        while table.subscriptions < int(sys.argv[-1]):
            await asyncio.sleep(0.02)
        casino.open_table()
    await asyncio.Event().wait()


if __name__ == "__main__":
    import uvloop

    uvloop.run(_serve(int(sys.argv[1]) if len(sys.argv) > 1 else 0))
