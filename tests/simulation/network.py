"""A network between simulated processes: byte streams and control calls that come late or not at all.

A stream behaves like TCP: in order, whole, or broken. A partition delays, since TCP repeats; a
machine that is lost leaves its streams half open: what is written into them is gone, and nobody is
told. Must not look into what travels.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from random import Random
from typing import Any

from tests.simulation.loop import DEAD, ProcessLoop, Simulator

ProtocolFactory = Callable[[], asyncio.Protocol]


class Transport(asyncio.Transport):
    """One end of a stream."""

    def __init__(self, network: Network, loop: ProcessLoop, here: str, there: str, random: Random) -> None:
        super().__init__()
        self._network = network
        self.loop = loop
        self.here = here
        self.there = there
        self._random = random
        self.peer: Transport = self
        self.protocol: asyncio.Protocol = None  # type: ignore[assignment]
        self.closed = False
        self.half_open = False
        self._arrives = 0.0

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return None

    def get_write_buffer_size(self) -> int:
        return 0

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Nothing is ever left unsent here."""

    def can_write_eof(self) -> bool:
        return False

    def is_closing(self) -> bool:
        return self.closed

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self.closed or self.half_open or self.loop.state == DEAD:
            return
        peer = self.peer
        self._network.simulator.at(self._when(), peer.loop, peer.arrived, (bytes(data),))

    def arrived(self, data: bytes) -> None:
        if not self.closed:
            self.protocol.data_received(data)

    def _when(self) -> float:
        """In order: nothing overtakes on a stream."""
        self._arrives = max(self._network.arrival(self.here, self.there, self._random), self._arrives)
        return self._arrives

    def close(self) -> None:
        self.abort()

    def abort(self) -> None:
        if self.closed or self.loop.state == DEAD:
            return
        self.closed = True
        self._network.forget(self)
        if self.protocol is not None:
            self.loop.call_soon(self.protocol.connection_lost, None)
        peer = self.peer
        if not self.half_open:
            self._network.simulator.at(self._when(), peer.loop, peer.hung_up)

    def hung_up(self) -> None:
        """The other end has closed."""
        if not self.closed:
            self.closed = True
            self._network.forget(self)
            if self.protocol is not None:
                self.protocol.connection_lost(ConnectionResetError())

    def lose(self) -> None:
        """Break the stream at both ends at once; what is on its way is lost."""
        for end in (self, self.peer):
            if not end.closed:
                end.closed = True
                self._network.forget(end)
                if end.protocol is not None:
                    end.loop.call_soon(end.protocol.connection_lost, ConnectionResetError())


class Network:
    """Who listens where, how long a message takes, and what is cut off from what.

    ``latency_s`` is the usual time of a message; each takes between half and double of it, and one
    in ``slow_one_in`` ten to fifty times as long.
    """

    def __init__(self, simulator: Simulator, seed: str, latency_s: float, slow_one_in: int) -> None:
        self.simulator = simulator
        self.latency_s = latency_s
        self._seed = seed
        self._slow = 1.0 / slow_one_in if slow_one_in else 0.0
        self._streams = 0
        self._random = Random(f"{seed}/control")
        self._listening: dict[str, tuple[str, ProcessLoop, ProtocolFactory]] = {}
        self._cut: dict[tuple[str, str], float] = {}
        self.open: dict[str, dict[Transport, None]] = {}
        """Ends of streams by process name."""

    # Time

    def arrival(self, here: str, there: str, random: Random) -> float:
        """When something that leaves now gets there."""
        delay = self.latency_s * (0.5 + 1.5 * random.random())
        if random.random() < self._slow:
            delay *= 10 + 40 * random.random()
        when = self.simulator.now + delay
        if self._cut:
            until = self._cut.get((here, there), 0.0)
            if when < until:
                when = until + delay
        return when

    def cut(self, here: str, there: str, duration_s: float) -> None:
        """Nothing gets from ``here`` to ``there`` for a while; the other way it does."""
        self._cut[here, there] = max(self._cut.get((here, there), 0.0), self.simulator.now + duration_s)

    def heal(self) -> None:
        self._cut.clear()
        self._slow = 0.0

    # Streams

    def listen(self, address: str, name: str, loop: ProcessLoop, factory: ProtocolFactory) -> None:
        self._listening[address] = (name, loop, factory)

    async def connect(self, loop: ProcessLoop, factory: ProtocolFactory, address: str) -> Any:
        """What ``create_unix_connection`` does. A process that died refuses; a paused one's kernel
        accepts, and is silent."""
        self._streams += 1
        random = Random(f"{self._seed}/stream/{self._streams}")
        here = loop.name  # type: ignore[attr-defined]
        accepted: asyncio.Future[Transport | None] = loop.create_future()

        def settle(transport: Transport | None) -> None:
            if accepted.done():
                if transport is not None:
                    transport.abort()  # the caller has given up
            elif transport is None or transport.closed:
                accepted.set_result(None)
            else:
                transport.protocol = factory()
                transport.protocol.connection_made(transport)
                accepted.set_result(transport)

        def arrive() -> None:
            there, far_loop, far_factory = self._listening.get(address, (address, None, None))
            if far_loop is None or far_loop.state == DEAD or far_factory is None:
                self.simulator.at(self.arrival(there, here, random), loop, settle, (None,))
                return
            near = Transport(self, loop, here, there, random)
            far = Transport(self, far_loop, there, here, random)
            near.peer, far.peer = far, near
            for end in (near, far):
                self.open.setdefault(end.here, {})[end] = None
            self.simulator.soon(far_loop, self._accept, (far, far_factory))
            self.simulator.at(far._when(), loop, settle, (near,))

        self.simulator.at(self.arrival(here, address.partition(".")[0], random), None, arrive)
        try:
            transport = await accepted
        except asyncio.CancelledError:
            if accepted.done() and not accepted.cancelled() and (late := accepted.result()) is not None:
                late.abort()
            raise
        if transport is None:
            raise ConnectionRefusedError(address)
        return transport, transport.protocol

    def _accept(self, transport: Transport, factory: ProtocolFactory) -> None:
        transport.protocol = factory()
        transport.protocol.connection_made(transport)

    def forget(self, end: Transport) -> None:
        ends = self.open.get(end.here)
        if ends is not None:
            ends.pop(end, None)

    def process_died(self, name: str, loop: ProcessLoop, told: bool) -> None:
        """Its streams end. Unless ``told``, nobody hears of it: the machine is gone."""
        for address in [a for a, (_, owner, _) in self._listening.items() if owner is loop]:
            del self._listening[address]
        for end in [end for end in self.open.get(name, ()) if end.loop is loop]:
            self.forget(end)
            peer = end.peer
            if told and not end.half_open:
                self.simulator.at(end._when(), peer.loop, peer.hung_up)
            else:
                peer.half_open = True

    # Control calls

    def calls_died(self, calls: list[Any]) -> None:
        """Whoever waits for an answer of a process that died is told so."""
        for loop, settle in calls:
            when = self.simulator.now + self.latency_s
            self.simulator.at(when, loop, settle, (None, ConnectionError("it died")))

    async def call(self, caller: Any, callee: Callable[[], Any], work: Callable[[Any], Any]) -> Any:
        """Run ``work(service)`` in another process and return what it returns. ``callee`` finds the
        process when the call arrives. The caller sets the deadline: a call may never be answered."""
        answered: asyncio.Future[Any] = caller.loop.create_future()
        random = self._random
        here = caller.name

        def settle(result: Any, error: Exception | None) -> None:
            if answered.done():
                return
            if error is not None:
                answered.set_exception(error)
            else:
                answered.set_result(result)

        def reply(there: str, result: Any, error: Exception | None) -> None:
            self.simulator.at(self.arrival(there, here, random), caller.loop, settle, (result, error))

        async def serve(process: Any) -> None:
            try:
                result = work(process.service)
                if isinstance(result, Coroutine):
                    result = await result
            except Exception as error:
                reply(process.name, None, error)
            else:
                reply(process.name, result, None)

        def arrive() -> None:
            process = callee()
            if process is None or process.loop.state == DEAD or process.service is None:
                reply("nobody", None, ConnectionError("nobody there"))
            else:
                process.calls.append((caller.loop, settle))
                process.loop.call_soon(lambda: process.loop.create_task(serve(process)))

        target = callee()
        there = target.name if target is not None else "nobody"
        self.simulator.at(self.arrival(here, there, random), None, arrive)
        return await answered
