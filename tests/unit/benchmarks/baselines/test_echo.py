from collections.abc import AsyncIterator

import httpx
import msgspec
import pytest
import pytest_asyncio

from benchmarks.baselines import echo
from benchmarks.baselines.slot_machine import Spun
from benchmarks.load.target import Target
from tests.unit.benchmarks.baselines.spinner import connected

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def target() -> AsyncIterator[Target]:
    async with echo.started() as target:
        yield target


async def test_each_command_is_answered_by_its_id(target: Target) -> None:
    async with connected(target) as one, connected(target) as two:
        for number in range(5):
            assert (await one.spin(f"1-{number}")).data == (await two.spin(f"2-{number}")).data


async def test_an_answer_looks_like_a_spin(target: Target) -> None:
    async with connected(target) as player:
        assert msgspec.convert((await player.spin("1")).data, Spun).machine == "classic"


async def test_other_addresses_are_not_found(target: Target) -> None:
    async with httpx.AsyncClient() as client:
        assert (await client.get(f"{target.url}/healthz")).status_code == 404
