"""Alarms: kept in memory, and yet they ring once, whoever dies."""

from __future__ import annotations

import asyncio
from typing import Any

from runtime.identity import Dedicated
from tests.unit.runtime.stall import Stall
from tests.unit.runtime.world import World


async def _until(condition: Any) -> None:
    async with asyncio.timeout(30):
        while not await condition():
            await asyncio.sleep(0.01)


async def test_an_alarm_rings_when_its_time_has_come_and_once() -> None:
    async with World(Stall()) as world:
        await world.ask("ann", "1", "stock", goods=5, rots_at_ms=world.clock.now_ms() + 150)
        assert await world.ask("ann", "2", "look") == {"goods": 5, "rotten": 0}

        async def rotten() -> bool:
            return await world.ask("ann", "3", "look") == {"goods": 0, "rotten": 5}

        await _until(rotten)
        rings = [turn for turn in world.all_turns("ann") if "alarm" in turn.command_id]
        assert [turn.command_id for turn in rings] == ["\x01alarm/rot"]


async def test_nothing_stored_tells_when_it_will_ring() -> None:
    class Secretive(Stall):
        """Its alarm follows from something that the state does not have."""

        secret_ms = 0

        def alarm(self, state: Any) -> Any:
            alarm = super().alarm(state)
            return alarm and alarm._replace(at_ms=self.secret_ms)

    stall = Secretive()
    async with World(stall) as world:
        stall.secret_ms = world.clock.now_ms() + 150
        await world.ask("ann", "1", "stock", goods=5, rots_at_ms=1)
        assert not world.memory._reminders
        stored = b"".join(turn.body for turn in world.all_turns("ann"))
        assert stall.secret_ms.to_bytes(8, "big") not in stored
        assert await world.ask("ann", "2", "look") == {"goods": 5, "rotten": 0}


async def test_an_alarm_that_can_do_nothing_yet_tries_again() -> None:
    class Early(Stall):
        def alarm(self, state: Any) -> Any:
            alarm = super().alarm(state)
            return alarm and alarm._replace(at_ms=alarm.at_ms - 100)

    async with World(Early()) as world:
        await world.ask("ann", "1", "stock", goods=5, rots_at_ms=world.clock.now_ms() + 120)

        async def rotten() -> bool:
            return await world.ask("ann", "3", "look") == {"goods": 0, "rotten": 5}

        await _until(rotten)


async def test_an_actor_that_is_always_on_comes_back_by_itself() -> None:
    stall = Stall(placement=Dedicated(), always_on=True)
    async with World(stall, always_on=["ann"]) as world:

        async def is_there() -> bool:
            return "stall-ann" in world.hosts and world.hosts["stall-ann"].resident == 1

        await _until(is_there)
        await world.ask("ann", "1", "stock", goods=5, rots_at_ms=world.clock.now_ms() + 300)
        await world.kill("stall-ann")

        async def has_rotted() -> bool:
            return any("alarm" in turn.command_id for turn in world.all_turns("ann"))

        await _until(has_rotted)


async def test_it_is_not_passivated() -> None:
    stall = Stall(placement=Dedicated(), always_on=True)
    async with World(stall, always_on=["ann"], passivate_after_s=0.05) as world:
        await world.ask("ann", "1", "stock", goods=5)
        await asyncio.sleep(1.3)
        assert world.hosts["stall-ann"].resident == 1
