"""The processes of the cluster, as Ray runs them: see ``runtime.coordination.Fleet``.

All actors are detached and named: they outlive the coordinator, and a new one finds them again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import ray
from ray.exceptions import ActorDiedError, RayError

from runtime.cluster.gateway_actor import Gateway
from runtime.cluster.host_actor import DedicatedHost, SessionHost
from runtime.cluster.service_actor import SERVICES
from runtime.cluster.wiring import NAMESPACE, Wiring
from runtime.coordination import is_session_host
from runtime.identity import ShardId
from runtime.journal import Incarnation

_log = logging.getLogger(__name__)

_CALL_DEADLINE_S = 2.0
_DRAIN_DEADLINE_S = 15.0
_HANG_DEADLINE_S = 60.0

_Observe = Callable[[str, Any], Awaitable[None]]


def actor_options(name: str) -> dict[str, Any]:
    """How every actor of the casino is started.

    ``max_task_retries`` stays 0: a call that failed may have happened, so retries are ours, by
    command id.
    """
    return {
        "name": name,
        "namespace": NAMESPACE,
        "lifetime": "detached",
        "get_if_exists": True,
        "max_restarts": -1,
        "max_task_retries": 0,
        "max_concurrency": 1000,
        "num_cpus": 0,
    }


def local_node_id() -> str:
    node: str = ray.get_runtime_context().get_node_id()
    return node


class RayFleet:
    """``on_change`` is called when a process turned out to have died."""

    def __init__(self, wiring: Wiring, on_change: Callable[[], None]) -> None:
        self._wiring = wiring
        self._on_change = on_change
        self._hosts: dict[str, Any] = {}
        self._gateways: dict[str, Any] = {}
        self._services: dict[str, Any] = {}
        self._watched: set[tuple[str, Incarnation]] = set()
        self._dead: set[tuple[str, Incarnation]] = set()
        self._local: dict[tuple[str, Incarnation], int] = {}
        """Process ids of the living hosts of this machine."""
        self._watches: dict[str, asyncio.Task[None]] = {}
        self._endings: dict[str, asyncio.Task[None]] = {}
        """Gateways on their way out, which may take them a while."""

    async def ensure(self, names: Sequence[str]) -> None:
        for name in names:
            if name not in self._hosts:
                self._hosts[name] = self._created(
                    SessionHost if is_session_host(name) else DedicatedHost, name
                )
            self._watch(name, self._hosts, self._observe_host)
        for name in self._wiring.services():
            if name not in self._services:
                self._services[name] = self._created(SERVICES[name], name)
            self._watch(name, self._services, self._observe_service)

    async def ensure_gateways(self, names: Sequence[str]) -> None:
        for name in names:
            if name in self._endings:
                continue
            if name not in self._gateways:
                self._gateways[name] = self._created(Gateway, name)
            self._watch(name, self._gateways, self._observe_status)
        for name in [name for name in self._gateways if name not in names]:
            self._unwatch(name)
            self._endings[name] = asyncio.create_task(self._end_gateway(name, self._gateways.pop(name)))

    async def retire(self, name: str) -> None:
        self._unwatch(name)
        handle = self._hosts.pop(name, None) or self._found(name)
        if handle is not None:
            ray.kill(handle)

    def is_known_dead(self, name: str, incarnation: Incarnation) -> bool:
        return (name, incarnation) in self._dead

    def discard(self, name: str, incarnation: Incarnation) -> None:
        pid = self._local.get((name, incarnation))
        if pid is not None:
            with contextlib.suppress(ProcessLookupError):
                # Ray's own way asks the process, and it does not answer. Ray restarts it then.
                os.kill(pid, signal.SIGKILL)

    async def take(self, name: str, incarnation: Incarnation, epoch: int, shards: list[ShardId]) -> None:
        await self._call(name, "take", incarnation, epoch, shards)

    async def release(self, name: str, incarnation: Incarnation, epoch: int, shards: list[ShardId]) -> None:
        await self._call(name, "release", incarnation, epoch, shards, deadline_s=_DRAIN_DEADLINE_S)

    async def drain(self) -> None:
        """End everything in order: clients first, so that nothing is asked of leaving hosts."""
        for name in list(self._watches):
            self._unwatch(name)
        await self.ensure_gateways([])
        await asyncio.gather(*self._endings.values())
        await asyncio.gather(*(self._end(handle) for handle in self._hosts.values()))
        self._hosts.clear()
        await asyncio.gather(*(self._end(handle) for handle in self._services.values()))
        self._services.clear()

    async def statuses(self) -> list[dict[str, Any]]:
        """What each process says of itself; those that do not answer are left out."""

        async def ask(handle: Any) -> dict[str, Any] | None:
            try:
                async with asyncio.timeout(_CALL_DEADLINE_S):
                    status: dict[str, Any] = await handle.status.remote()
                    return status
            except (RayError, TimeoutError):
                return None

        handles = [*self._hosts.values(), *self._gateways.values(), *self._services.values()]
        return [status for status in await asyncio.gather(*map(ask, handles)) if status]

    async def _call(
        self, name: str, method: str, *arguments: Any, deadline_s: float = _CALL_DEADLINE_S
    ) -> None:
        handle = self._hosts.get(name)
        if handle is None:
            handle = self._found(name)
            if handle is None:
                raise ConnectionError(f"there is no {name}")
            self._hosts[name] = handle
        async with asyncio.timeout(deadline_s):
            await getattr(handle, method).remote(*arguments)

    def _created(self, actor: type, name: str) -> Any:
        return ray.remote(actor).options(**actor_options(name)).remote(name, self._wiring)

    def _found(self, name: str) -> Any:
        try:
            return ray.get_actor(name, NAMESPACE)
        except ValueError:
            return None

    async def _end(self, handle: Any) -> None:
        with contextlib.suppress(RayError, TimeoutError):
            async with asyncio.timeout(_DRAIN_DEADLINE_S):
                await handle.drain.remote()
        with contextlib.suppress(RayError):
            ray.kill(handle)

    async def _end_gateway(self, name: str, handle: Any) -> None:
        try:
            await self._end(handle)
        finally:
            del self._endings[name]
            self._on_change()

    def _watch(self, name: str, handles: dict[str, Any], observe: _Observe) -> None:
        if name not in self._watches:
            self._watches[name] = asyncio.create_task(self._keep_watch(name, handles, observe))

    def _unwatch(self, name: str) -> None:
        watch = self._watches.pop(name, None)
        if watch is not None:
            watch.cancel()

    async def _keep_watch(self, name: str, handles: dict[str, Any], observe: _Observe) -> None:
        """Observe one life after another. Ray restarts a process that died, but not one whose
        constructor failed: then forget the handle, so that ``ensure`` starts afresh."""
        while name in handles:
            try:
                await observe(name, handles[name])
            except ActorDiedError as error:
                _log.error("process did not start", extra={"actor": name, "reason": str(error)})
                # It may fail again at once, for as long as it takes.
                await asyncio.sleep(self._wiring.coordinator_settings.reconcile_interval_s)
                del handles[name]
                break
            except (RayError, OSError):
                pass
            await asyncio.sleep(0.1)
        del self._watches[name]
        self._on_change()

    async def _observe_status(self, name: str, handle: Any) -> None:
        await handle.status.remote()
        await asyncio.sleep(self._wiring.coordinator_settings.reconcile_interval_s)

    async def _observe_service(self, name: str, handle: Any) -> None:
        """Nobody waits for a service, so nobody else notices one that hangs: end it, and Ray starts the
        next."""
        try:
            async with asyncio.timeout(_HANG_DEADLINE_S):
                await handle.status.remote()
        except TimeoutError:
            _log.error("service hangs, and is ended", extra={"service": name})
            ray.kill(handle, no_restart=False)
        await asyncio.sleep(self._wiring.coordinator_settings.reconcile_interval_s)

    async def _observe_host(self, name: str, handle: Any) -> None:
        """Know a life of a host by its process, and notice at once when that ends."""
        incarnation, node, pid = await handle.identity.remote()
        if (name, incarnation) not in self._watched:
            self._watched.add((name, incarnation))
            self._on_change()
        try:
            if node == local_node_id():
                self._local[name, incarnation] = pid
                await _process_end(pid)
                del self._local[name, incarnation]
                # The kernel says so: no lease needs to run out first.
                self._dead.add((name, incarnation))
                _log.warning("host died", extra={"host": name, "incarnation": incarnation})
            else:
                await handle.lifetime.remote()
        finally:
            self._on_change()


async def _process_end(pid: int) -> None:
    """Wait until a process of this machine has ended. Its parent is Ray's, so ``wait`` is not ours."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    loop.add_reader(descriptor, ended.set)
    try:
        await ended.wait()
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)
