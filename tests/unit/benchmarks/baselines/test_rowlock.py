"""The real thing: Postgres, its workers, and clients over the wire."""

import asyncio
from collections.abc import AsyncIterator

import psutil
import pytest
import pytest_asyncio
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from benchmarks.baselines import rowlock
from benchmarks.load.target import Target
from clients.protocol import CLOSE_NOT_AUTHENTICATED, SUBPROTOCOL, AuthenticationRefused, Protocol
from clients.sign_in import addresses_of
from tests.unit.benchmarks.baselines.spinner import connected


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def target() -> AsyncIterator[Target]:
    async with rowlock.started() as target:
        yield target


pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_guest_spins_and_is_answered_by_id(target: Target) -> None:
    async with connected(target) as player:
        first = (await player.spin("a-1", 5)).data
        assert first["gold_balance"] == 10_000 - 5 + first["payout"]
        assert (first["stake"], first["nonce"], first["machine"]) == (5, 0, "classic")
        second = (await player.spin("a-2", 7)).data
        assert second["gold_balance"] == first["gold_balance"] - 7 + second["payout"]
        assert second["nonce"] == 1


async def test_the_same_id_twice_is_one_spin(target: Target) -> None:
    async with connected(target) as player:
        first = (await player.spin("b-1")).data
        assert (await player.spin("b-1")).data == first
        after = (await player.spin("b-2")).data
        assert (after["nonce"], after["gold_balance"]) == (1, first["gold_balance"] - 1 + after["payout"])


async def test_one_id_on_many_connections_at_once_is_one_spin(target: Target) -> None:
    async with connected(target) as player:
        async with asyncio.TaskGroup() as group:
            spins = [group.create_task(_spin_elsewhere(target, player.account)) for _ in range(12)]
        assert len({spin.result() for spin in spins}) == 1
        assert (await player.spin("after")).data["nonce"] == 1


async def _spin_elsewhere(target: Target, account: object) -> str:
    async with connected(target, account) as player:  # type: ignore[arg-type]
        return str((await player.spin("same")).data)


async def test_what_cannot_be_done_is_refused_and_changes_nothing(target: Target) -> None:
    async with connected(target) as player:
        assert (await player.refused("spin_slots", {"stake": 0})).code == "invalid_data"
        assert (await player.refused("spin_slots", {})).code == "invalid_data"
        assert (await player.refused("fly", {})).code == "unknown_command"
        assert (await player.spin("after")).data["nonce"] == 0


async def test_nobody_gets_in_without_a_token_of_this_server(target: Target) -> None:
    async with connect(addresses_of(target.url).sync, subprotocols=[Subprotocol(SUBPROTOCOL)]) as socket:
        protocol = Protocol()
        await socket.send(protocol.authenticate("made up"))
        refusal = protocol.receive(await socket.recv())
        assert isinstance(refusal, AuthenticationRefused)
        assert refusal.code == "not_authenticated"
        with pytest.raises(ConnectionClosed):
            await socket.recv()
        assert socket.close_code == CLOSE_NOT_AUTHENTICATED


async def test_there_are_workers_and_a_database(target: Target) -> None:
    assert target.pid is not None
    children = psutil.Process(target.pid).children(recursive=True)
    assert sum("benchmarks.baselines.worker" in child.cmdline() for child in children) == rowlock.WORKERS
    assert any(child.name() == "postgres" for child in children)
