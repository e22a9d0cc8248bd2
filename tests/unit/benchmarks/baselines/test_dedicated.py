"""The real thing, Ray included, in a process of its own."""

from contextlib import AsyncExitStack

import psutil
import pytest

from benchmarks.baselines import dedicated
from benchmarks.baselines.dedicated import session_bytes
from tests.unit.benchmarks.baselines.spinner import connected

pytestmark = pytest.mark.system

_MIB = 1024**2


async def test_each_session_is_a_process_that_answers_once_for_an_id() -> None:
    async with dedicated.started() as target:
        assert target.pid is not None
        family = psutil.Process(target.pid).children(recursive=True)
        async with AsyncExitStack() as stack:
            players = [await stack.enter_async_context(connected(target)) for _ in range(3)]
            for player in players:
                first = (await player.spin("1")).data
                assert (await player.spin("1")).data == first
                assert (await player.spin("2")).data["nonce"] == 1
                assert (await player.refused("spin_slots", {"stake": 0})).code == "invalid_data"
            async with connected(target, players[0].account) as elsewhere:
                assert (await elsewhere.spin("3")).data["nonce"] == 2
            memory = session_bytes(target.pid)
            assert len(memory) == 3
            assert all(20 * _MIB < bytes_of_one < 300 * _MIB for bytes_of_one in memory)
        # A session outlives its connections, as the casino's do.
        async with connected(target, players[0].account) as again:
            assert (await again.spin("1")).data["nonce"] == 0
            assert (await again.spin("4")).data["nonce"] == 3
        assert len(session_bytes(target.pid)) == 3
        family += psutil.Process(target.pid).children(recursive=True)
    assert not [process for process in family if process.is_running()]
