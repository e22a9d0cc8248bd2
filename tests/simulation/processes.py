"""What runs inside the simulated processes: the real runtime, put together as ``runtime.cluster`` does.

Owns wiring only. A ``Process`` is one life; the next life of the same name is another object.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from random import Random
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from actors.crash.broadcast import CRASH_STATE
from actors.crash.messages import KIND as CRASH
from gateway.codec import MESSAGEPACK
from gateway.counters import Counters
from gateway.fanout import Fanout
from gateway.hub import Hub
from gateway.limits import Limits
from gateway.listeners import Listeners
from gateway.topics import Topics
from gateway.websocket import RealtimeSocket
from runtime.cluster.sockets import SocketDialer, _HostEnd
from runtime.coordination import Coordinator
from runtime.errors import JournalError
from runtime.host import Host
from runtime.identity import ActorId, Dedicated, Packed, ShardId, packed_shards, shard_of
from runtime.journal import Incarnation, ShardMap
from runtime.lease import Lease
from runtime.router import Router
from runtime.stream import Deliver, Message
from tests.simulation.loop import DEAD, ProcessLoop, Simulator
from tests.simulation.storage import SimulatedJournal, SimulatedMembership

if TYPE_CHECKING:
    from tests.simulation.world import World

SECRET = b"the simulation's own cluster secret"


class ProcessClock:
    """``runtime.clock.Clock`` of one process: skewed and drifting, and jumping when the world says so."""

    def __init__(self, world: World, loop: ProcessLoop, skew_ms: float, drift: float) -> None:
        self._world = world
        self._skew_ms = skew_ms
        self._rate = 1000.0 * (1.0 + drift)
        self.monotonic: Callable[[], float] = loop.time
        self._simulator: Simulator = world.simulator

    def now_ms(self) -> int:
        world = self._world
        return int(
            world.wall_begins_ms + world.wall_jumped_ms + self._skew_ms + self._simulator.now * self._rate
        )


class Process:
    """One life of a named process."""

    def __init__(self, world: World, name: str, life: int) -> None:
        random = Random(f"{world.scenario.seed}/process/{name}/{life}")
        drift = world.scenario.drift_max * (2 * random.random() - 1)
        self.world = world
        self.name = name
        self.life = life
        self.random = random
        self.loop = ProcessLoop(world.simulator, drift, self._defect)
        self.loop.name = name  # type: ignore[attr-defined]
        self.loop.network = world.network
        skew_ms = world.scenario.skew_ms_max * (2 * random.random() - 1)
        self.clock = ProcessClock(world, self.loop, skew_ms, world.scenario.drift_max * random.random())
        self.service: Any = None
        self.calls: list[Any] = []
        self.is_remote = False
        """On another machine: nobody is told when it dies."""

    @property
    def is_alive(self) -> bool:
        return self.loop.state != DEAD

    def _defect(self, context: dict[str, Any]) -> None:
        error = context.get("exception")
        self.world.checks.violated("defect", f"{self.name}: {context.get('message')}: {error!r}")

    def start(self, main: Callable[[], Any]) -> None:
        self.loop.call_soon(lambda: self.loop.create_task(self._guarded(main)))

    async def _guarded(self, main: Callable[[], Any]) -> None:
        try:
            await main()
        except Exception as error:
            self.world.checks.violated("defect", f"{self.name}: {error!r}")


class Directory:
    """The coordinator as others see it: ``runtime.router.MapSource``."""

    def __init__(self, process: Process) -> None:
        self._process = process

    async def next_map(self, after_epoch: int) -> ShardMap:
        return await self._call(lambda service: service.core.next_map(after_epoch))

    async def place(self, shard: ShardId) -> None:
        await self._call(lambda service: service.core.place(shard))

    async def joined(self) -> None:
        await self._call(lambda service: service.core.poke())

    async def _call(self, work: Callable[[Any], Any]) -> Any:
        world = self._process.world
        async with asyncio.timeout(10.0):
            return await world.network.call(self._process, lambda: world.processes.get("coordinator"), work)


class CheckedEnd(_HostEnd):
    """The host's end of a stream, with a checker that sees what leaves the house."""

    def __init__(self, service: HostService) -> None:
        super().__init__(service.watched, SECRET)  # type: ignore[arg-type]
        self._service = service
        self.asked: dict[int, Deliver | Any] = {}
        self.repeated: dict[int, Any] = {}
        """Rows of what was durable when it was asked."""
        service.ends += 1
        self._number = service.ends

    def __hash__(self) -> int:
        return self._number

    def __eq__(self, other: object) -> bool:
        return self is other

    @property
    def is_closed(self) -> bool:
        """What is sent now gets nowhere."""
        return self.transport is None or self.transport.is_closing()

    def send(self, message: Message) -> None:
        self._service.world.checks.leaves(self._service, self, message)
        super().send(message)


class WatchedHost:
    """Stands before the host, and notes what was asked."""

    def __init__(self, service: HostService) -> None:
        self._service = service

    @property
    def incarnation(self) -> Incarnation:
        return self._service.incarnation

    def connected(self, link: Any) -> None:
        self._service.host.connected(link)

    def disconnected(self, link: Any) -> None:
        self._service.host.disconnected(link)

    def receive(self, link: Any, messages: Sequence[Any]) -> None:
        self._service.world.checks.enters(link, messages)
        self._service.host.receive(link, messages)


class HostService:
    """A session host; see ``runtime.cluster.host_actor``."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self.world = process.world
        self.incarnation: Incarnation = 0
        self.host: Host = None  # type: ignore[assignment]
        self.watched = WatchedHost(self)
        self.ends = 0

    async def main(self) -> None:
        process, world = self.process, self.world
        clock, settings = process.clock, world.scenario.host
        membership = SimulatedMembership(world.database, process.loop)
        journal = SimulatedJournal(world.database, process.loop)
        # A process takes a while to start.
        await asyncio.sleep(0.05 + 0.3 * process.random.random())
        address = f"unix:{process.name}" + (f".{process.life}" if process.is_remote else "")
        while True:
            asked_at_s = clock.monotonic()
            try:
                self.incarnation = await membership.register(process.name, address, settings.lease_s)
                break
            except JournalError:
                await asyncio.sleep(0.5)
        world.checks.note(f"{process.name} is incarnation {self.incarnation}")
        lease = Lease(membership, self.incarnation, settings.lease_s, clock, asked_at_s, self._stop_process)
        behaviors = world.behaviors(process.name)
        self.host = Host(
            process.name,
            self.incarnation,
            behaviors,
            journal,
            lease,
            clock,
            process.random.randbytes,
            settings,
            self._stop_process,
        )
        directory = Directory(process)
        router = Router(
            {behavior.kind: behavior.placement for behavior in behaviors},
            directory,
            SocketDialer(process.name, SECRET),
            clock,
            world.scenario.router,
        )
        self.router = router
        router.start()
        self.host.start(router)
        if world.processes.get(process.name) is process:
            # Whoever was given up before it came so far finds its address taken.
            here = address.removeprefix("unix:")
            world.network.listen(here, process.name, process.loop, lambda: CheckedEnd(self))
        with suppress(OSError, TimeoutError):
            await directory.joined()

    def _stop_process(self) -> None:
        self.world.fleet.exited(self.process)

    def take(self, incarnation: Incarnation, epoch: int, shards: list[ShardId]) -> None:
        if self.host is not None and incarnation == self.incarnation:
            self.host.take(epoch, shards)

    async def release(self, incarnation: Incarnation, epoch: int, shards: list[ShardId]) -> None:
        if self.host is None or incarnation != self.incarnation:
            raise RuntimeError("another life of this host is asked")
        await self.host.release(epoch, shards)


class CoordinatorService:
    """The coordinator; see ``runtime.cluster.coordinator_actor``."""

    def __init__(self, process: Process) -> None:
        self.process = process
        world = process.world
        membership = SimulatedMembership(world.database, process.loop)
        packed = [
            shard
            for behavior in world.behaviors()
            if isinstance(behavior.placement, Packed)
            for shard in packed_shards(behavior.kind, behavior.placement)
        ]
        tables = [shard_of(table.actor, Dedicated()) for table in world.scenario.tables]
        always_on = {CRASH: tables} if tables else {}
        settings = world.scenario.coordinator
        self.fleet = FleetClient(process)
        self.core = Coordinator(membership, self.fleet, packed, settings, process.clock, always_on)

    async def main(self) -> None:
        await self.core.run()


class FleetClient:
    """``runtime.coordination.Fleet``: what a coordinator asks of Ray."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._fleet = process.world.fleet
        self.watched: set[tuple[str, Incarnation]] = set()
        self.dead: set[tuple[str, Incarnation]] = set()

    async def ensure(self, names: Sequence[str]) -> None:
        for name in names:
            self._fleet.ensure(name)
            host = self._process.world.processes.get(name)
            if host is not None and host.is_alive and not host.is_remote and host.service.incarnation:
                self.watched.add((name, host.service.incarnation))

    async def ensure_gateways(self, names: Sequence[str]) -> None:
        pass

    async def retire(self, name: str) -> None:
        self._fleet.retire(name)

    def is_known_dead(self, name: str, incarnation: Incarnation) -> bool:
        return (name, incarnation) in self.dead

    def discard(self, name: str, incarnation: Incarnation) -> None:
        """Out of reach, as on another node: whoever is paused comes back by itself."""

    async def take(self, name: str, incarnation: Incarnation, epoch: int, shards: list[ShardId]) -> None:
        await self._call(name, lambda service: service.take(incarnation, epoch, shards), 2.0)

    async def release(self, name: str, incarnation: Incarnation, epoch: int, shards: list[ShardId]) -> None:
        await self._call(name, lambda service: service.release(incarnation, epoch, shards), 15.0)

    async def _call(self, name: str, work: Callable[[Any], Any], deadline_s: float) -> None:
        world = self._process.world
        async with asyncio.timeout(deadline_s):
            await world.network.call(self._process, lambda: world.processes.get(name), work)


class Bearer(str):
    """Whoever names a user is that user, for ever."""

    issued_s = 0
    expires_s = 10**12

    @property
    def user_id(self) -> str:
        return str(self)


class Socket(RealtimeSocket):
    """The real WebSocket shell, past its opening handshake. Hashes alike in every run."""

    __slots__ = ("_number",)

    def __init__(self, hub: Hub, number: int) -> None:
        state: Any = SimpleNamespace(connections=set())
        super().__init__(hub, config=None, server_state=state, app_state={})  # type: ignore[arg-type]
        self._number = number

    def __hash__(self) -> int:
        return self._number

    def __eq__(self, other: object) -> bool:
        return self is other

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._begin(MESSAGEPACK, self._hub.clock.monotonic())


class GatewayService:
    """A gateway without its opening handshakes; see ``runtime.cluster.gateway_actor``."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self.world = process.world
        self._sockets = 0

    async def main(self) -> None:
        process, world = self.process, self.world
        limits = Limits(**world.scenario.gateway_limits)
        counters, draw = Counters(), process.random.random
        fanout = Fanout(limits, counters, process.clock, draw=draw)
        known: dict[str, ActorId] = {table.actor: table.actor for table in world.scenario.tables}
        topics = Topics(known, {CRASH: CRASH_STATE}, limits, counters, process.clock, draw=draw)
        behaviors = world.behaviors()
        self.router = Router(
            {behavior.kind: behavior.placement for behavior in behaviors},
            Directory(process),
            SocketDialer(process.name, SECRET),
            process.clock,
            world.scenario.router,
            Listeners(fanout, topics),
        )
        fanout.bind(self.router)
        topics.bind(self.router)
        [session] = [behavior for behavior in behaviors if behavior.kind == "session"]
        dependencies: Any = SimpleNamespace(
            limits=limits,
            allowed_origins=(),
            router=self.router,
            fanout=fanout,
            topics=topics,
            clock=process.clock,
            tokens=SimpleNamespace(verify=Bearer),
            catalogue=session.commands,
        )
        self.hub = Hub(dependencies)
        self.router.start()
        self.hub.start()
        world.network.listen(process.name, process.name, process.loop, self._accept)

    def _accept(self) -> Socket:
        self._sockets += 1
        return Socket(self.hub, self._sockets)


def session_actor(user: str) -> ActorId:
    return ActorId(f"session/{user}")
