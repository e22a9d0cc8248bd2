"""A gateway wired to real routers and hosts, in one process: owners die, clients notice nothing."""

from __future__ import annotations

import asyncio
from typing import Any

from actors.catalogue import behaviors
from gateway.dependencies import GatewayDependencies
from gateway.fanout import Fanout
from gateway.key_ring import KeyRing
from gateway.limits import Limits
from gateway.rate_limit import LocalRateLimiter
from gateway.server import GatewayServer
from gateway.tokens import AccessTokens
from runtime.clock import SystemClock
from tests.unit.gateway.fake_accounts import FakeAccounts
from tests.unit.gateway.fakes import KEYS, Gateway, front_door, hear, say
from tests.unit.runtime.world import World

LIMITS = Limits(close_deadline_s=0.3, sweep_interval_s=0.05)
SPINS = 30


def wired(world: World) -> GatewayDependencies:
    clock = SystemClock()
    fanout = Fanout(LIMITS)
    router = world.make_router(fanout)
    world._routers.append(router)
    router.start()
    session = world.behavior
    accounts = FakeAccounts()
    return GatewayDependencies(
        router=router,
        fanout=fanout,
        catalogue=session.commands,
        pushes=session.pushes,
        tokens=AccessTokens(KeyRing(KEYS, "k1"), clock),
        accounts=accounts,
        front_door=front_door(accounts),
        rate_limiter=LocalRateLimiter(clock, 10, 1),
        limits=LIMITS,
        clock=clock,
    )


async def play(gateway: Gateway, user: str) -> tuple[list[int], list[dict[str, Any]]]:
    """Spin, asking again under the same id when told to; the seqs heard, and the results."""
    seqs: list[int] = []
    results: list[dict[str, Any]] = []
    async with gateway.connect() as socket:
        *_, state = await gateway.authenticate(socket, user)
        assert state["type"] == "initial_state"
        seqs.append(state["seq"])
        for number in range(SPINS):
            await say(socket, "spin_slots", f"spin-{number}", stake=5)
            while True:
                message = await hear(socket)
                if message["type"] == "result":
                    results.append(message["data"])
                    break
                if message["type"] == "error":
                    assert message["data"]["retryable"], message
                    await say(socket, "spin_slots", f"spin-{number}", stake=5)
                else:
                    seqs.append(message["seq"])
            await asyncio.sleep(0.02)
        while seqs[-1] < 1 + 3 * SPINS:
            seqs.append((await hear(socket))["seq"])
    return seqs, results


async def test_hosts_die_and_clients_miss_nothing() -> None:
    async with World(behaviors()["session"], hosts=2) as world:
        parts = wired(world)
        server = GatewayServer(parts)
        await server.start("127.0.0.1", 0)
        gateway = Gateway(server, parts)
        try:
            players = [asyncio.create_task(play(gateway, f"u_{number}")) for number in range(6)]
            for _ in range(3):
                await asyncio.sleep(0.25)
                await world.kill(sorted(world.hosts)[0])
            for player in players:
                seqs, results = await player
                assert seqs == list(range(seqs[0], 1 + 3 * SPINS + 1)), "gap-free, in order"
                assert [result["nonce"] for result in results] == list(range(SPINS)), "each exactly once"
            assert server.counters.reattaches > 0
        finally:
            await server.stop()
