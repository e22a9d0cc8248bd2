"""The real thing: the casino's own processes."""

import psutil
import pytest

from benchmarks.baselines import ceiling
from tests.unit.benchmarks.baselines.spinner import connected

pytestmark = pytest.mark.system


async def test_it_counts_each_command_once() -> None:
    async with ceiling.started() as target:
        assert target.pid is not None
        assert target.metrics
        family = psutil.Process(target.pid).children(recursive=True)
        async with connected(target) as player:
            assert (await player.spin("1")).data["count"] == 1
            assert (await player.spin("2")).data["count"] == 2
            assert (await player.spin("1")).data["count"] == 1
            assert (await player.spin("3")).data["count"] == 3
    assert not [process for process in family if process.is_running()]
