"""Those who play: devices that speak protocol v1 through a gateway, and callers with a router of
their own, as a service of the house would have.

Both ask until they have an answer for good, under the same id. They never crash; their streams do.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import msgspec

from actors.crash.messages import table_actor
from clients.protocol import (
    Authenticated,
    Broadcast,
    Command,
    Duplicate,
    Event,
    Gap,
    Protocol,
    Unexpected,
    encode,
)
from clients.protocol import Failure as FailureFrame
from clients.protocol import Result as ResultFrame
from runtime.cluster.sockets import SocketDialer
from runtime.identity import ActorId
from runtime.router import Router
from runtime.stream import Failure, Result
from tests.simulation.history import Invocation
from tests.simulation.processes import SECRET, Directory, Process, session_actor
from tests.simulation.spectators import Spectator

if TYPE_CHECKING:
    from tests.simulation.world import World

PATIENCE_S = 4.0
"""Without an answer for so long, a device looks for another gateway."""


def _masked(payload: bytes) -> bytes:
    """A client's WebSocket frame; a mask of zeros leaves the payload as it is."""
    length = len(payload)
    head = bytes((0x82, 0x80 | length)) if length < 126 else b"\x82\xfe" + length.to_bytes(2, "big")
    return head + b"\0\0\0\0" + payload


class Client:
    """What both kinds have in common: the list of wishes, and the bookkeeping of their answers."""

    def __init__(self, world: World, name: str) -> None:
        self.world = world
        self.name = name
        self.process = Process(world, name, 1)
        self.random = self.process.random
        self.in_order: dict[ActorId, list[Invocation]] = {}

    def wish(self, actor: ActorId, command_id: str, name: str, data: dict[str, Any]) -> None:
        spec = self.world.behavior(actor.partition("/")[0]).commands[name].data
        encoded = encode(msgspec.convert(data, spec))
        checks = self.world.checks
        invocation = self.world.history.ask(
            self.name,
            actor,
            command_id,
            name,
            encoded,
            checks.shadow(actor).acknowledged_seq,
            self.world.simulator.now,
            self.world.wall_ms,
        )
        self.in_order.setdefault(actor, []).append(invocation)
        if checks.timeline is not None:
            checks.note(f"{self.name} asks {actor} {command_id} {name} {data}")
        self.process.loop.call_soon(self.ask, invocation)

    def ask(self, invocation: Invocation) -> None:
        raise NotImplementedError

    @property
    def router_or_none(self) -> Router | None:
        return getattr(self, "router", None)

    def told(self, invocation: Invocation, answer: Result | Failure) -> None:
        checks = self.world.checks
        if checks.timeline is not None:
            what = msgspec.msgpack.decode(answer.data) if type(answer) is Result else answer.code
            checks.note(f"{self.name} is told {invocation.command_id}: {what}")
        checks.answered(invocation, answer)
        if type(answer) is Failure and answer.retryable:
            self.process.loop.call_later(0.05 + 0.4 * self.random.random(), self.ask, invocation)
            return
        invocation.answer = answer
        invocation.settled = True


class Caller(Client):
    """Asks through a router of its own, as gateways do."""

    def __init__(self, world: World, name: str) -> None:
        super().__init__(world, name)
        self.router: Router = None  # type: ignore[assignment]
        self.process.start(self._main)

    async def _main(self) -> None:
        self.router = Router(
            {behavior.kind: behavior.placement for behavior in self.world.behaviors()},
            Directory(self.process),
            SocketDialer(self.name, SECRET),
            self.process.clock,
            self.world.scenario.router,
        )
        self.router.start()

    def ask(self, invocation: Invocation) -> None:
        invocation.attempts += 1
        self.router.submit(
            invocation.actor,
            invocation.command_id,
            invocation.name,
            invocation.data,
            lambda answer: self.told(invocation, answer),
        )

    @property
    def is_in_sync(self) -> bool:
        return not self.router.calls_in_flight


class Line(asyncio.Protocol):
    """One connection of a device. Only the device's present one is heard."""

    def __init__(self, device: Device) -> None:
        self._device = device

    def data_received(self, data: bytes) -> None:
        if self._device.line is self:
            self._device.received(data)

    def connection_lost(self, error: Exception | None) -> None:
        if self._device.line is self:
            self._device.lost()


class Device(Client):
    """One device of a player, on a WebSocket to some gateway."""

    def __init__(self, world: World, name: str, user: str, topics: Iterable[ActorId] = ()) -> None:
        super().__init__(world, name)
        self.actor = session_actor(user)
        self.user = user
        self.protocol = Protocol()
        self.transport: Any = None
        self.line: Line | None = None
        self.waiting: dict[str, Invocation] = {}
        self.has_state = False
        self._wanted: dict[ActorId, None] = dict.fromkeys(topics)
        """Topics: subscribed to on every connection."""
        self._spectators: dict[ActorId, Spectator] = {}
        self._leaving: dict[str, ActorId] = {}
        self._requests = 0
        self._asked_s: dict[str, float] = {}
        self._heard_s = 0.0
        self._rest = b""
        self.process.start(self._connect)
        self.process.loop.call_later(1.0, self._watch)

    async def _connect(self) -> None:
        while True:
            gateway = f"gateway-{self.random.randrange(self.world.scenario.gateways)}"
            try:
                async with asyncio.timeout(3.0):
                    transport, line = await self.process.loop.create_unix_connection(
                        lambda: Line(self), gateway
                    )
                break
            except (OSError, TimeoutError):
                await asyncio.sleep(0.1 + 0.4 * self.random.random())

        self.transport, self.line = transport, line
        self._rest = b""
        self._heard_s = self.process.loop.time()
        self.has_state = False
        self._write(self.protocol.authenticate(self.user))
        if transport.is_closing():
            self.lost()

    def lost(self) -> None:
        self.line = None
        self.world.checks.note(f"{self.name} is cut off")
        self.transport = None
        self.protocol.connection_lost()
        self._spectators.clear()
        self._leaving.clear()
        pause_s = 0.05 + 0.5 * self.random.random()
        self.process.loop.call_later(pause_s, self.process.start, self._connect)

    def _write(self, payload: bytes) -> None:
        if self.transport is not None:
            self.transport.write(_masked(payload))

    def ask(self, invocation: Invocation) -> None:
        if invocation.command_id in self.waiting:
            # The protocol's own rule: one answer per id at a time.
            if self.waiting[invocation.command_id] is not invocation:
                self.process.loop.call_later(0.3, self.ask, invocation)
            return
        invocation.attempts += 1
        self.waiting[invocation.command_id] = invocation
        self._asked_s[invocation.command_id] = self.process.loop.time()
        frame = self.protocol.command(
            invocation.name, msgspec.msgpack.decode(invocation.data), invocation.command_id
        )
        if self.protocol.authenticated:
            self._write(frame)

    def received(self, data: bytes) -> None:
        self._heard_s = self.process.loop.time()
        data = self._rest + data
        start, available = 0, len(data)
        while available - start >= 2:
            length, body = data[start + 1], start + 2
            if length >= 126:
                width = 2 if length == 126 else 8
                length, body = int.from_bytes(data[body : body + width], "big"), body + width
            if body + length > available:
                break
            opcode = data[start] & 0x0F
            if opcode == 2:
                self._frame(data[body : body + length])
            elif opcode == 9 and self.transport is not None:
                self.transport.write(b"\x8a\x80\0\0\0\0")
            elif opcode == 8 and self.transport is not None:
                self.transport.abort()
            start = body + length
        self._rest = data[start:]

    def _frame(self, payload: bytes) -> None:
        happening = self.protocol.receive(payload)
        match happening:
            case Event():
                self._event(happening)
            case ResultFrame(command_id, data):
                self._answer(command_id, Result(0, msgspec.Raw(encode(data))))
            case FailureFrame(command_id, code, message, retryable):
                self._answer(command_id, Failure(0, code, message, retryable))
            case Authenticated():
                for frame in self.protocol.in_flight():
                    for invocation in self.waiting.values():
                        invocation.attempts += 1
                    self._write(frame)
                for topic in self._wanted:
                    self._subscribe(topic)
            case Broadcast(kind, data):
                self._broadcast(kind, data)
            case Gap() | Duplicate():
                self.world.checks.violated("events", f"{self.name}: {happening}")
            case Unexpected(frame):
                if frame.id in self._leaving:
                    topic = self._leaving.pop(frame.id)
                    if topic not in self._wanted:
                        self._spectators.pop(topic, None)
            case _:
                self.transport.abort()

    def _event(self, event: Event) -> None:
        if event.type == "sync_connected" or event.seq is None:
            return
        checks = self.world.checks
        if event.type == "initial_state":
            self.has_state = True
            if self.protocol.sequence.regressions:
                checks.violated("events", f"{self.name}: the state went back to {event.seq}")
            return
        self.has_state = True
        checks.event(self.name, self.actor, event.seq, event.type, event.data)

    # Topics

    def watch(self, topic: ActorId, request: str) -> None:
        """``subscribe`` or ``unsubscribe``, whether it is subscribed or not."""
        if request == "subscribe":
            self._wanted[topic] = None
            if self.protocol.authenticated:
                self._subscribe(topic)
        else:
            self._wanted.pop(topic, None)
            if self.protocol.authenticated:
                self._leaving[self._request("unsubscribe", topic)] = topic

    def _subscribe(self, topic: ActorId) -> None:
        self._request("subscribe", topic)
        self._spectators.setdefault(topic, Spectator(self.world.checks, self.name, topic))

    def _request(self, request: str, topic: ActorId) -> str:
        self._requests += 1
        request_id = f"topic-{self._requests}"
        self._write(encode(Command(request, request_id, {"topic": topic})))
        return request_id

    def _broadcast(self, kind: str, data: dict[str, Any]) -> None:
        topic = table_actor(data["table"])
        if topic in self._spectators:
            self._spectators[topic].told(kind, data)
        else:
            self.world.checks.violated("topics", f"{self.name} has not subscribed to {topic}: {kind} {data}")

    def _answer(self, command_id: str, answer: Result | Failure) -> None:
        invocation = self.waiting.pop(command_id)
        del self._asked_s[command_id]
        self.told(invocation, answer)

    def _watch(self) -> None:
        """Hang up on a gateway that does not answer, or whose stream is dead."""
        now = self.process.loop.time()
        self.process.loop.call_later(1.0, self._watch)
        transport = self.transport
        if transport is None:
            return
        oldest = min(self._asked_s.values(), default=now)
        if now - self._heard_s > PATIENCE_S and (
            now - oldest > PATIENCE_S or now - self._heard_s > 2 * PATIENCE_S
        ):
            transport.abort()
        elif now - self._heard_s > PATIENCE_S / 2:
            transport.write(b"\x89\x80\0\0\0\0")

    @property
    def is_in_sync(self) -> bool:
        spectators = self._spectators
        if any(topic not in spectators or not spectators[topic].is_in_sync for topic in self._wanted):
            return False
        pushes = self.world.checks.shadow(self.actor).pushes
        return self.transport is not None and (self.protocol.last_seq or 0) == len(pushes)
