"""A router for the command line: reads the map from the database, speaks to hosts directly.

No Ray needed, so a command answers at once.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from typing import Any

import msgspec

from runtime.clock import SystemClock
from runtime.cluster.sockets import SocketDialer
from runtime.errors import JournalError
from runtime.identity import ActorId, Placement, ShardId
from runtime.journal import Membership, ShardMap
from runtime.router import Router
from runtime.settings import RouterSettings
from runtime.stream import Failure, Result

_POLL_S = 0.2


class MembershipMaps:
    """See ``runtime.router.MapSource``. Cannot place: only the coordinator starts hosts."""

    def __init__(self, membership: Membership) -> None:
        self._membership = membership

    async def next_map(self, after_epoch: int) -> ShardMap:
        while True:
            try:
                shard_map = await self._membership.shard_map()
            except JournalError as error:
                raise ConnectionError(str(error)) from None
            if shard_map.epoch > after_epoch:
                return shard_map
            await asyncio.sleep(_POLL_S)

    async def place(self, shard: ShardId) -> None:
        await asyncio.sleep(_POLL_S)


class OperatorRouter:
    """Asks actors one question at a time."""

    def __init__(self, router: Router) -> None:
        self._router = router

    async def ask(self, actor: ActorId, command_id: str, name: str, data: msgspec.Struct) -> Any:
        """The reply as plain objects. Raises ``LookupError`` with the actor's or router's reason."""
        done: asyncio.Future[Result | Failure] = asyncio.get_running_loop().create_future()
        self._router.submit(actor, command_id, name, msgspec.msgpack.encode(data), done.set_result)
        answer = await done
        if isinstance(answer, Failure):
            raise LookupError(f"{answer.code}: {answer.message}")
        return msgspec.msgpack.decode(answer.data)


@contextlib.asynccontextmanager
async def operator_router(
    membership: Membership, placements: Mapping[str, Placement], secret: bytes
) -> AsyncIterator[OperatorRouter]:
    router = Router(
        placements,
        MembershipMaps(membership),
        SocketDialer("casino-cli", secret),
        SystemClock(),
        RouterSettings(call_deadline_s=5.0),
    )
    router.start()
    try:
        yield OperatorRouter(router)
    finally:
        await router.stop()
