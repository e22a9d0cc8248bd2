"""A whole cluster in one process: hosts, a coordinator and routers around one in-memory journal.

Real code everywhere but at the ports. Streams are direct calls on the next turn of the loop.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from runtime.behavior import Behavior
from runtime.clock import SystemClock
from runtime.coordination import Coordinator
from runtime.host import Host
from runtime.identity import ActorId, Packed, ShardId, actor_id, is_dedicated, packed_shards, shard_of
from runtime.journal import Desired, Incarnation, ShardMap, StoredTurn
from runtime.lease import Lease
from runtime.memory_journal import MemoryJournal, MemoryMembership
from runtime.router import Router
from runtime.settings import CoordinatorSettings, HostSettings, RouterSettings
from runtime.stream import (
    Attached,
    Failure,
    FrameReader,
    Message,
    Pushed,
    Result,
    Ticked,
    decode_to_host,
    decode_to_router,
    frame,
)


def _over_the_wire(message: Message) -> bytes:
    [payload] = FrameReader().feed(bytes(frame([message])))
    return payload


class DirectLink:
    """Both ends of a stream in one process."""

    def __init__(
        self,
        host: Host,
        on_messages: Callable[[Sequence[Any]], None],
        on_closed: Callable[[], None],
    ) -> None:
        self._host = host
        self._on_messages = on_messages
        self._on_closed = on_closed
        self._loop = asyncio.get_running_loop()
        self.closed = False
        self.far_end = FarEnd(self)
        host.connected(self.far_end)

    def send(self, message: Any) -> None:
        if not self.closed:
            self._loop.call_soon(self._host.receive, self.far_end, decode_to_host(_over_the_wire(message)))

    def deliver(self, message: Message) -> None:
        if not self.closed:
            received = decode_to_router(_over_the_wire(message))
            self._loop.call_soon(lambda: None if self.closed else self._on_messages(received))

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            self._host.disconnected(self.far_end)
            self._loop.call_soon(self._on_closed)


class FarEnd:
    def __init__(self, link: DirectLink) -> None:
        self._link = link

    def send(self, message: Message) -> None:
        self._link.deliver(message)

    def close(self) -> None:
        self._link.close()


class World:
    """``journal`` may be wrapped by a test to misbehave."""

    def __init__(
        self, behavior: Behavior[Any], hosts: int = 1, always_on: Sequence[str] = (), **host_settings: Any
    ) -> None:
        self.clock = SystemClock()
        self.behavior = behavior
        self.membership = MemoryMembership(self.clock)
        self.memory = MemoryJournal(self.membership)
        self.journal: Any = self.memory
        self.settings = HostSettings(
            **{"lease_s": 1.0, "outbox_poll_s": 0.05, "reminder_poll_s": 0.05} | host_settings
        )
        self.hosts: dict[str, Host] = {}
        self.frozen: set[str] = set()
        self.dead: set[Incarnation] = set()
        self.host_count = hosts
        self.pushes: list[Pushed] = []
        self.ticks: list[Ticked] = []
        self.lost_actors: list[ActorId] = []
        packed = (
            packed_shards(behavior.kind, behavior.placement) if isinstance(behavior.placement, Packed) else []
        )
        self.coordinator = Coordinator(
            self.membership,
            self,
            packed,
            CoordinatorSettings(0.05, lease_grace_s=0.1, patience_s=1.2),
            self.clock,
            {behavior.kind: [shard_of(actor_id(behavior.kind, key), behavior.placement) for key in always_on]}
            if behavior.always_on
            else {},
        )
        self.router = self.make_router(self)
        self._routers = [self.router]
        self._run: asyncio.Task[None] | None = None

    def make_router(self, listener: Any = None) -> Router:
        placements = {self.behavior.kind: self.behavior.placement}
        return Router(placements, self, self, self.clock, RouterSettings(5.0, retry_delay_s=0.01), listener)

    async def __aenter__(self) -> World:
        await self.membership.set_desired(Desired(self.host_count, 0))
        self._run = asyncio.create_task(self.coordinator.run())
        self.router.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._run is not None
        self._run.cancel()
        for router in self._routers:
            await router.stop()
        for host in list(self.hosts.values()):
            await host.stop()

    # PushListener

    def pushed(self, message: Pushed) -> None:
        self.pushes.append(message)

    def ticked(self, message: Ticked) -> None:
        self.ticks.append(message)

    def lost(self, actor: ActorId) -> None:
        self.lost_actors.append(actor)

    # Fleet

    async def ensure(self, names: Sequence[str]) -> None:
        for name in names:
            if name not in self.hosts:
                await self.start_host(name)

    async def ensure_gateways(self, names: Sequence[str]) -> None:
        pass

    async def start_host(self, name: str) -> Host:
        asked = self.clock.monotonic()
        incarnation = await self.membership.register(name, name, self.settings.lease_s)
        lease = Lease(self.membership, incarnation, self.settings.lease_s, self.clock, asked, lambda: None)
        host = Host(
            name, incarnation, [self.behavior], self.journal, lease, self.clock, os.urandom,
            self.settings, lambda: None, lambda: self._emptied(name),
        )  # fmt: skip
        router = self.make_router()
        self._routers.append(router)
        router.start()
        host.start(router)
        self.hosts[name] = host
        return host

    def _emptied(self, name: str) -> None:
        for shard in self.hosts[name].owned:
            if is_dedicated(shard):
                self.coordinator.vacate(shard)

    async def retire(self, name: str) -> None:
        host = self.hosts.pop(name, None)
        if host is not None:
            await host.stop()

    def is_known_dead(self, name: str, incarnation: Incarnation) -> bool:
        return incarnation in self.dead

    def discard(self, name: str, incarnation: Incarnation) -> None:
        pass

    async def take(self, name: str, incarnation: Incarnation, epoch: int, shards: list[ShardId]) -> None:
        host = self.hosts.get(name)
        if host is not None and host.incarnation == incarnation:
            host.take(epoch, shards)

    async def release(self, name: str, incarnation: Incarnation, epoch: int, shards: list[ShardId]) -> None:
        host = self.hosts[name]
        assert host.incarnation == incarnation
        await host.release(epoch, shards)

    async def kill(self, name: str) -> None:
        """End a host like ``kill -9``; the coordinator starts another life of it."""
        host = self.hosts.pop(name)
        self.dead.add(host.incarnation)
        await host.stop()
        self.coordinator.poke()

    # MapSource and Dialer

    async def next_map(self, after_epoch: int) -> ShardMap:
        return await self.coordinator.next_map(after_epoch)

    async def place(self, shard: ShardId) -> None:
        self.coordinator.place(shard)

    async def dial(
        self,
        address: str,
        incarnation: Incarnation,
        on_messages: Callable[[Sequence[Any]], None],
        on_closed: Callable[[], None],
    ) -> DirectLink:
        host = self.hosts.get(address)
        if host is None or host.incarnation != incarnation:
            raise ConnectionError("nobody there")
        return DirectLink(host, on_messages, on_closed)

    # What an auditor sees

    async def turns(self, key: str) -> list[StoredTurn]:
        """The turns of an actor that pushed something."""
        found = await self.memory.history(actor_id(self.behavior.kind, key), 0, 10**9)
        assert found is not None
        return found

    def all_turns(self, key: str) -> list[StoredTurn]:
        return list(self.memory._turns[actor_id(self.behavior.kind, key)].values())

    def audit(self) -> None:
        balances = self.memory.balances
        assert sum(balances.values()) == 0
        assert not [a for a, b in balances.items() if b < 0 and a.startswith(("player:", "escrow:"))]
        assert not [a for a in balances if a.startswith("escrow:")]

    # What a client does

    async def ask(self, key: str, command_id: str, name: str, **data: Any) -> dict[str, Any] | Failure:
        done: asyncio.Future[Result | Failure] = asyncio.get_running_loop().create_future()
        self.router.submit(
            actor_id(self.behavior.kind, key), command_id, name, msgspec.msgpack.encode(data),
            done.set_result,
        )  # fmt: skip
        answer = await done
        if isinstance(answer, Failure):
            return answer
        decoded: dict[str, Any] = msgspec.msgpack.decode(answer.data)
        return decoded

    async def attach(self, key: str, after: int | None) -> Attached | Failure:
        done: asyncio.Future[Attached | Failure] = asyncio.get_running_loop().create_future()
        self.router.attach(actor_id(self.behavior.kind, key), after, done.set_result)
        return await done
