"""A session host as a Ray actor: one process, one life of one host.

When the host is fenced the process ends, and Ray starts it again as a new incarnation.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from typing import Any

import ray
from ray._raylet import setproctitle  # type: ignore[attr-defined]

from runtime.clock import SystemClock
from runtime.cluster.directory import CoordinatorClient
from runtime.cluster.metrics import ProcessMetrics
from runtime.cluster.reporter import Figures, Reporter
from runtime.cluster.sockets import SocketDialer, bind, serve
from runtime.cluster.wiring import Wiring
from runtime.coordination import is_session_host
from runtime.errors import JournalError
from runtime.host import Host
from runtime.identity import (
    Dedicated,
    ShardId,
    actor_id,
    dedicated_host_name,
    is_dedicated,
    shard_of,
)
from runtime.journal import Incarnation
from runtime.lease import Lease
from runtime.router import Router

_log = logging.getLogger(__name__)

_SHOW_S = 0.5

FENCED_EXIT = 70
"""Exit status of a host that was replaced."""


class SessionHost:
    """Everything an operator or the coordinator can ask of a host."""

    async def __init__(self, name: str, wiring: Wiring) -> None:  # type: ignore[misc]  # Ray awaits it
        wiring.set_up_process(name)
        clock = SystemClock()
        settings = wiring.host_settings
        self._name = name
        behaviors = await wiring.open_behaviors(name)
        self._membership = await wiring.open_membership()
        journal = await wiring.open_journal()
        listener, address = bind(wiring.stream_address(name))
        while True:
            asked_at_s = clock.monotonic()
            try:
                incarnation = await self._membership.register(name, address, settings.lease_s)
                break
            except JournalError as error:
                _log.warning("cannot register yet", extra={"reason": str(error)})
                await asyncio.sleep(0.5)
        self._lease = Lease(
            self._membership, incarnation, settings.lease_s, clock, asked_at_s, self._stop_process
        )
        self._host = Host(
            name,
            incarnation,
            behaviors,
            journal,
            self._lease,
            clock,
            os.urandom,
            settings,
            self._stop_process,
            self._retire_if_dedicated,
        )
        self._directory = CoordinatorClient()
        self._router = Router(
            {behavior.kind: behavior.placement for behavior in behaviors},
            self._directory,
            SocketDialer(name, wiring.cluster_secret),
            clock,
            wiring.router_settings,
        )
        self._router.start()
        self._host.start(self._router)
        self._server = await serve(self._host, listener, wiring.cluster_secret)
        self._joining = asyncio.create_task(self._join())
        self._reporter = Reporter(
            name,
            "host",
            self._figures,
            await wiring.open_status_writer(),
            clock,
            ProcessMetrics("host", metrics_label(name, wiring)),
        )
        self._reporter.start()

    def __repr__(self) -> str:
        return f"SessionHost({self._name}, incarnation {self._host.incarnation})"

    async def identity(self) -> tuple[Incarnation, str, int]:
        """Which life this is, and which process: ``(incarnation, Ray node id, pid)``."""
        node: str = ray.get_runtime_context().get_node_id()
        return self._host.incarnation, node, os.getpid()

    async def lifetime(self) -> None:
        """Never returns: the caller learns from its failure that the process has ended."""
        await asyncio.Event().wait()

    async def take(self, incarnation: Incarnation, epoch: int, shards: list[ShardId]) -> None:
        if incarnation == self._host.incarnation:
            self._host.take(epoch, shards)

    async def release(self, incarnation: Incarnation, epoch: int, shards: list[ShardId]) -> None:
        if incarnation != self._host.incarnation:
            raise RuntimeError("another life of this host is asked")
        await self._host.release(epoch, shards)

    async def drain(self) -> None:
        """Commit everything, give every shard up, and give the incarnation back."""
        await self._host.release(self._host.epoch, self._host.owned)
        await self._membership.fence(self._host.incarnation)

    async def status(self) -> dict[str, Any]:
        """Figures for an operator."""
        statistics = self._host.gate.statistics
        return {
            "name": self._name,
            "pid": os.getpid(),
            "incarnation": self._host.incarnation,
            "epoch": self._host.epoch,
            "shards": len(self._host.owned),
            "activations": self._host.resident,
            "pending_turns": self._host.gate.pending_turns,
            "commits": statistics.commits,
            "turns": statistics.turns,
            "commit_seconds": statistics.seconds.total,
            "rollbacks": statistics.rollbacks,
            "unknown_commits": statistics.unknown,
            "lease_remaining_s": round(self._lease.remaining_s(), 3),
            "actors": self._host.describe(),
        }

    def _figures(self) -> Figures:
        gate, residents = self._host.gate, self._host.residents
        statistics = gate.statistics
        return {
            "incarnation": self._host.incarnation,
            "shards": len(self._host.owned),
            "activations": self._host.resident,
            "mailbox_messages": residents.loader.waiting_messages,
            "pending_turns": gate.pending_turns,
            "pending_entries": gate.pending_entries,
            "outbox_queued": self._host.outbox_queued,
            "lease_remaining_seconds": round(max(0.0, self._lease.remaining_s()), 3),
            "commits_total": statistics.commits,
            "turns_total": statistics.turns,
            "rollbacks_total": statistics.rollbacks,
            "refused_turns_total": statistics.refused,
            "unknown_commits_total": statistics.unknown,
            "commit_seconds": statistics.seconds,
            "commit_turns": statistics.batch_turns,
        }

    async def _join(self) -> None:
        """Tell the coordinator at once; it would find out by itself, but later."""
        with contextlib.suppress(OSError, TimeoutError):
            await self._directory.joined()

    def _retire_if_dedicated(self) -> None:
        """A process of one's own ends when its actor sleeps."""
        if self._host.owned and all(is_dedicated(shard) for shard in self._host.owned):
            self._leaving = asyncio.create_task(self._vacate(list(self._host.owned)))

    async def _vacate(self, shards: list[ShardId]) -> None:
        with contextlib.suppress(OSError, TimeoutError):
            for shard in shards:
                await self._directory.vacate(shard)

    def _stop_process(self) -> None:
        _log.error("fenced: the process ends", extra={"host": self._name})
        # Not sys.exit: nothing this process still holds may reach anyone.
        os._exit(FENCED_EXIT)


def metrics_label(name: str, wiring: Wiring) -> str:
    """What a host is called in metrics: by its name, unless that could be a player's."""
    tables = {
        dedicated_host_name(shard_of(actor_id(kind, key), Dedicated()))
        for kind, keys in wiring.always_on().items()
        for key in keys
    }
    return name if is_session_host(name) or name in tables else "dedicated"


class DedicatedHost(SessionHost):
    """A host that one actor, or one group, has to itself. Shows an operator what that is doing: in the
    title of the process (the dashboard's list of workers) and, when it enters another phase, in its log."""

    async def __init__(self, name: str, wiring: Wiring) -> None:  # type: ignore[misc]
        await super().__init__(name, wiring)
        self._showing = asyncio.create_task(self._show())

    def __repr__(self) -> str:
        return f"DedicatedHost({self._name}, incarnation {self._host.incarnation})"

    async def _show(self) -> None:
        logged = ""
        while True:
            for description in self._host.describe():
                setproctitle(f"ray::{self._name} {description}")
                phase = description.partition(",")[0]
                if phase != logged:
                    logged = phase
                    _log.info(description, extra={"host": self._name})
            await asyncio.sleep(_SHOW_S)
