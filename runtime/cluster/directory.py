"""The coordinator, as gateways and hosts see it: a named Ray actor that may be away for a while."""

from __future__ import annotations

import asyncio
from typing import Any

import ray
from ray.exceptions import RayError

from runtime.cluster.wiring import COORDINATOR, NAMESPACE
from runtime.identity import ShardId
from runtime.journal import ShardMap

_CALL_DEADLINE_S = 10.0


class CoordinatorClient:
    """See ``runtime.router.MapSource``. Looks the actor up again after each failure."""

    def __init__(self) -> None:
        self._handle: Any = None

    async def next_map(self, after_epoch: int) -> ShardMap:
        shard_map: ShardMap = await self._call("next_map", after_epoch)
        return shard_map

    async def place(self, shard: ShardId) -> None:
        await self._call("place", shard)

    async def vacate(self, shard: ShardId) -> None:
        await self._call("vacate", shard)

    async def joined(self) -> None:
        """A host has registered and waits for shards."""
        await self._call("joined")

    async def _call(self, method: str, *arguments: Any) -> Any:
        try:
            if self._handle is None:
                # The look-up blocks on Ray's control store.
                self._handle = await asyncio.to_thread(ray.get_actor, COORDINATOR, NAMESPACE)
            async with asyncio.timeout(_CALL_DEADLINE_S):
                return await getattr(self._handle, method).remote(*arguments)
        except (RayError, ValueError) as error:
            self._handle = None
            raise ConnectionError(f"the coordinator is away: {type(error).__name__}") from None
