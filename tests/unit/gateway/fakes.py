"""Stand-ins for what the wiring gives a gateway: a router with tiny sessions, accounts, a clock."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Annotated, Any, cast

import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from gateway.counters import Counters
from gateway.dependencies import FrontDoor, GatewayDependencies
from gateway.fanout import Fanout
from gateway.key_ring import KeyRing
from gateway.limits import Limits
from gateway.listeners import Listeners
from gateway.lockout import Lockout
from gateway.passwords import Cost, Passwords
from gateway.rate_limit import LocalRateLimiter
from gateway.refresh_tokens import RefreshTokens
from gateway.schema import PATH
from gateway.server import GatewayServer
from gateway.tokens import AccessTokens
from gateway.topics import Topics
from runtime.behavior import CommandSpec, PushSpec
from runtime.clock import SystemClock
from runtime.identity import ActorId
from runtime.journal import PushRecord
from runtime.routing import PushListener
from runtime.stream import Attached, Failure, Pushed, Result, Ticked
from tests.unit.gateway.fake_accounts import FakeAccounts

KEYS = {"k1": b"1" * 32, "k2": b"2" * 32}
RECORDED_MS = 1_700_000_000_000
CHEAP = Cost(memory_kib=8, iterations=1)
"""Of a password. Its strength is not what tests are about."""
MAIN = ActorId("crash/main")
TABLES = {"crash/main": MAIN, "crash/high": ActorId("crash/high")}
pack = msgspec.msgpack.encode
unpack = msgspec.msgpack.decode


class Spin(msgspec.Struct, forbid_unknown_fields=True):
    stake: Annotated[int, msgspec.Meta(ge=1)]
    machine: str = "classic"


class Bet(msgspec.Struct, forbid_unknown_fields=True):
    stake: int
    auto_cash_out: Annotated[float, msgspec.Meta(ge=1.01)] | None = None


class Spun(msgspec.Struct):
    gold_balance: int


CATALOGUE = {
    "spin_slots": CommandSpec("spin_slots", Spin, Spun, "Spin."),
    "place_crash_bet": CommandSpec("place_crash_bet", Bet, Spun, "Bet.", errors=("betting_closed",)),
    "open_session": CommandSpec("open_session", Spin, Spun, "Internal.", audience="system"),
}
PUSHES = {"profile_update": PushSpec("profile_update", Spun, "Gold changed.")}


def raw(value: Any) -> msgspec.Raw:
    return msgspec.Raw(pack(value))


class FakeClock:
    def __init__(self) -> None:
        self.ms = RECORDED_MS
        self.seconds = 1000.0

    def now_ms(self) -> int:
        return self.ms

    def monotonic(self) -> float:
        return self.seconds


class FakeRouter:
    """Actors in memory: each command pushes ``pushes_per_command`` events, then is answered.

    Commands named in ``replies`` get those, and change nothing.
    """

    def __init__(self, listener: PushListener) -> None:
        self.listener = listener
        self.replies: dict[str, Any] = {}
        self.attaches: list[tuple[ActorId, int | None]] = []
        self.turns: dict[ActorId, list[Pushed]] = {}
        self.attached: set[ActorId] = set()
        self.submitted: list[tuple[ActorId, str, str, bytes]] = []
        self.pushes_per_command = 3
        self.is_silent = False
        self.waiting: list[Callable[[], None]] = []
        self.keeps_turns = 1_000_000
        self.attach_failures: list[Failure] = []

    def position(self, actor: ActorId) -> int:
        turns = self.turns.get(actor)
        return turns[-1].first_seq + len(turns[-1].items) - 1 if turns else 0

    def push(self, actor: ActorId, *types: str) -> Pushed:
        first = self.position(actor) + 1
        items = [PushRecord(name, raw({"gold_balance": first + i})) for i, name in enumerate(types)]
        message = Pushed(actor, first, RECORDED_MS, items)
        self.turns.setdefault(actor, []).append(message)
        if actor in self.attached:
            self.listener.pushed(message)
        return message

    def tick(self, actor: ActorId, number: int) -> None:
        if actor in self.attached:
            item = PushRecord("crash_tick", raw({"elapsed_ms": number}))
            self.listener.ticked(Ticked(actor, RECORDED_MS, item))

    def submit(
        self,
        actor: ActorId,
        command_id: str,
        name: str,
        data: bytes,
        done: Callable[[Result | Failure], None],
    ) -> None:
        self.submitted.append((actor, command_id, name, data))

        def answer() -> None:
            if name in self.replies:
                reply = self.replies[name]
                done(reply if isinstance(reply, Failure) else Result(0, raw(reply)))
                return
            if command_id.startswith("refuse"):
                done(Failure(0, "insufficient_gold", "not enough gold", False))
                return
            self.push(actor, *["profile_update"] * self.pushes_per_command)
            done(Result(0, raw({"gold_balance": self.position(actor)})))

        self._soon(answer)

    def attach(self, actor: ActorId, after: int | None, done: Callable[[Attached | Failure], None]) -> None:
        self.attaches.append((actor, after))

        def answer() -> None:
            if self.attach_failures:
                done(self.attach_failures.pop(0))
                return
            self.attached.add(actor)
            position = self.position(actor)
            turns = self.turns.get(actor, [])[-self.keeps_turns :]
            if after is None or after > position or (turns and turns[0].first_seq > after + 1):
                view = pack({"gold_balance": position})
                done(Attached(0, actor, position, RECORDED_MS, view, []))
            else:
                missed = [turn for turn in turns if turn.first_seq + len(turn.items) - 1 > after]
                done(Attached(0, actor, position, RECORDED_MS, None, missed))

        self._soon(answer)

    def detach(self, actor: ActorId) -> None:
        self.attached.discard(actor)

    def _soon(self, call: Callable[[], None]) -> None:
        if self.is_silent:
            self.waiting.append(call)
        else:
            asyncio.get_running_loop().call_soon(call)


def front_door(accounts: FakeAccounts, passwords: Passwords | None = None) -> FrontDoor:
    return FrontDoor(
        credentials=accounts,
        passwords=passwords or Passwords(CHEAP, threads=2),
        lockout=Lockout(accounts),
        refresh_tokens=RefreshTokens(accounts, b"r" * 32),
    )


def dependencies(limits: Limits | None = None, **changes: Any) -> GatewayDependencies:
    limits = limits or Limits()
    clock = changes.pop("clock", None) or SystemClock()
    counters = Counters()
    fanout = Fanout(limits, counters)
    topics = Topics(TABLES, {"crash": "crash_state"}, limits, counters)
    accounts = changes.pop("accounts", None) or FakeAccounts(clock)
    return GatewayDependencies(
        **{
            "router": FakeRouter(Listeners(fanout, topics)),
            "fanout": fanout,
            "topics": topics,
            "catalogue": CATALOGUE,
            "pushes": PUSHES,
            "tokens": AccessTokens(KeyRing(KEYS, "k1"), clock),
            "accounts": accounts,
            "front_door": front_door(accounts),
            "revocation_feed": accounts,
            "rate_limiter": LocalRateLimiter(clock, burst=5, per_s=0.1),
            "limits": limits,
            "clock": clock,
            "allowed_origins": ("https://casino.example",),
            **changes,
        }
    )


def frames_in(data: bytes) -> list[tuple[int, bytes]]:
    """The server's frames in some bytes, as (opcode, payload)."""
    frames: list[tuple[int, bytes]] = []
    while data:
        length, start = data[1], 2
        if length >= 126:
            width = 2 if length == 126 else 8
            length, start = int.from_bytes(data[2 : 2 + width], "big"), 2 + width
        frames.append((data[0] & 0x0F, data[start : start + length]))
        data = data[start + length :]
    return frames


def messages_in(data: bytes) -> list[Any]:
    """The server's messages in some bytes, decoded."""
    decode = {1: msgspec.json.decode, 2: unpack}
    return [decode[opcode](payload) for opcode, payload in frames_in(data) if opcode in decode]


class Gateway:
    """A running gateway and ways to talk to it."""

    def __init__(self, server: GatewayServer, parts: GatewayDependencies) -> None:
        self.server = server
        self.parts = parts
        self.router = cast(FakeRouter, parts.router)
        self.http = f"http://127.0.0.1:{server.port}"
        self.url = f"ws://127.0.0.1:{server.port}{PATH}"

    def connect(self, subprotocol: str = "casino.v1.msgpack", **options: Any) -> connect:
        options.setdefault("ping_interval", None)
        options.setdefault("compression", None)
        return connect(self.url, subprotocols=[Subprotocol(subprotocol)], **options)

    async def authenticate(self, socket: ClientConnection, user: str = "u_ann", **data: Any) -> list[Any]:
        """The first three messages."""
        token = self.parts.tokens.issue(user).token
        await say(socket, "authenticate", "auth", token=token, **data)
        return [await hear(socket) for _ in range(3)]


async def say(socket: ClientConnection, kind: str, command_id: str, **data: Any) -> None:
    message = {"type": kind, "id": command_id, "data": data}
    is_json = str(socket.subprotocol).endswith("json")
    await socket.send(msgspec.json.encode(message).decode() if is_json else pack(message))


async def hear(socket: ClientConnection) -> Any:
    async with asyncio.timeout(5):
        message = await socket.recv()
    return msgspec.json.decode(message) if isinstance(message, str) else unpack(message)


async def closing_of(socket: ClientConnection) -> tuple[int | None, str | None]:
    """Wait until the server has closed the connection; its code and reason."""
    async with asyncio.timeout(5):
        try:
            while True:
                await socket.recv()
        except ConnectionClosed:
            return socket.close_code, socket.close_reason
