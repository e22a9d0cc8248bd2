"""What a resident, idle session costs. Bytes, not seconds, so a bound can be asserted."""

import asyncio
import gc
import tracemalloc

from actors.catalogue import behaviors
from tests.unit.runtime.world import World

SESSIONS = 500
SPINS = 12
BYTES_MAX = 4096


async def test_a_resident_idle_session_fits_four_kibibytes() -> None:
    async with World(behaviors()["session"], trim_after_s=0.0) as world:

        async def play(key: str) -> None:
            for number in range(SPINS):
                answer = await world.ask(key, f"01234567-{number:08d}", "spin_slots", stake=10)
                assert isinstance(answer, dict)

        await play("warm-up")
        host = world.hosts["session-host-0"]
        keys = [f"u_{number:026d}" for number in range(SESSIONS)]
        for key in keys:
            await play(key)
        # Everybody passivates, and comes back from the journal: what is measured is the resident
        # session alone, not what the in-memory journal keeps of it.
        await host.release(host.epoch, host.owned)
        assert host.resident == 0
        gc.collect()
        tracemalloc.start()
        before, _ = tracemalloc.get_traced_memory()
        host.take(host.epoch + 1, [f"session#{number}" for number in range(64)])  # type: ignore[misc]
        await asyncio.gather(*(world.ask(key, "r", "get_profile") for key in keys))
        await asyncio.sleep(2.2)
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert host.resident == SESSIONS
        each = (after - before) / SESSIONS
        print(f"{each:.0f} bytes per resident idle session")
        assert each <= BYTES_MAX
