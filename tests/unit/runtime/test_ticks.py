"""Ticks: for whoever listens, never ahead of what is durable, never journaled."""

from __future__ import annotations

import asyncio

import msgspec

from runtime.errors import CommitUnknown
from runtime.stream import Attached
from tests.unit.runtime.stall import Stall
from tests.unit.runtime.world import World


async def test_listeners_get_ticks_that_are_not_journaled() -> None:
    async with World(Stall(tick_interval_ms=20)) as world:
        await world.ask("ann", "1", "stock", goods=5)
        assert isinstance(await world.attach("ann", None), Attached)
        async with asyncio.timeout(30):
            while len(world.ticks) < 3:
                await asyncio.sleep(0.01)
        assert {tick.item.type for tick in world.ticks} == {"bell"}
        assert msgspec.msgpack.decode(world.ticks[0].item.data)["goods"] == 5
        world.router.detach(world.ticks[0].actor)
        await asyncio.sleep(0.05)
        seen = len(world.ticks)
        await asyncio.sleep(0.1)
        assert len(world.ticks) == seen
        assert len(world.all_turns("ann")) == 1


async def test_a_tick_waits_for_what_it_rests_on() -> None:
    async with World(Stall(tick_interval_ms=20)) as world:
        await world.ask("ann", "1", "stock", goods=5)
        await world.attach("ann", None)
        async with asyncio.timeout(30):
            while not world.ticks:
                await asyncio.sleep(0.01)

        commit = world.memory.commit
        is_open = asyncio.Event()

        async def closed(batch: object) -> None:
            if not is_open.is_set():
                raise CommitUnknown("closed")
            await commit(batch)  # type: ignore[arg-type]

        world.memory.commit = closed  # type: ignore[method-assign, assignment]
        asking = asyncio.create_task(world.ask("ann", "2", "stock", goods=1))
        await asyncio.sleep(0.1)
        shown = {msgspec.msgpack.decode(tick.item.data)["goods"] for tick in world.ticks}
        assert shown == {5}
        is_open.set()
        await asking
        async with asyncio.timeout(30):
            while msgspec.msgpack.decode(world.ticks[-1].item.data)["goods"] != 6:
                await asyncio.sleep(0.01)
