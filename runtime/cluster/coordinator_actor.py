"""The coordinator as a Ray actor: the rounds of ``runtime.coordination`` over Ray's processes."""

from __future__ import annotations

import asyncio
import os
from typing import Any

from runtime.clock import SystemClock
from runtime.cluster.fleet import RayFleet
from runtime.cluster.wiring import Wiring
from runtime.coordination import Coordinator as CoreCoordinator
from runtime.identity import Dedicated, Packed, ShardId, actor_id, packed_shards, shard_of
from runtime.journal import ShardMap


class Coordinator:
    """Everything a router, a host or an operator can ask of the coordinator."""

    async def __init__(self, wiring: Wiring) -> None:  # type: ignore[misc]  # Ray awaits it
        wiring.set_up_process("coordinator")
        membership = await wiring.open_membership()
        packed = [
            shard
            for behavior in wiring.behaviors()
            if isinstance(behavior.placement, Packed)
            for shard in packed_shards(behavior.kind, behavior.placement)
        ]
        always_on = {
            kind: [shard_of(actor_id(kind, key), Dedicated()) for key in keys]
            for kind, keys in wiring.always_on().items()
        }
        self._fleet = RayFleet(wiring, self._poke)
        self._core = CoreCoordinator(
            membership, self._fleet, packed, wiring.coordinator_settings, SystemClock(), always_on
        )
        self._running = asyncio.create_task(self._core.run())

    def __repr__(self) -> str:
        return f"Coordinator(pid {os.getpid()})"

    def _poke(self) -> None:
        self._core.poke()

    async def next_map(self, after_epoch: int) -> ShardMap:
        return await self._core.next_map(after_epoch)

    async def place(self, shard: ShardId) -> None:
        self._core.place(shard)

    async def vacate(self, shard: ShardId) -> None:
        self._core.vacate(shard)

    async def joined(self) -> None:
        self._core.poke()

    async def drain(self) -> None:
        """End every process of the cluster in order, but this one."""
        self._running.cancel()
        await asyncio.gather(self._running, return_exceptions=True)
        await self._fleet.drain()

    async def status(self) -> dict[str, Any]:
        """Figures for an operator."""
        shard_map = self._core.shard_map
        return {
            "name": "coordinator",
            "pid": os.getpid(),
            "rounds": self._core.rounds,
            "epoch": shard_map.epoch,
            "shards": len(shard_map.owners),
            "processes": await self._fleet.statuses(),
        }
