"""One bot alone with the fake casino: what it does with its commands when things go wrong."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from random import Random

from benchmarks.bot import Bot
from benchmarks.journey import Journey
from benchmarks.lean_connection import EventCounter
from benchmarks.measurements import Measurements
from clients.sign_in import Account, addresses_of, sign_in_guest
from tests.unit.benchmarks.fake_casino import FakeCasino, Faults


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.002)


@asynccontextmanager
async def bot_in(
    casino: FakeCasino, account: Account | None = None, depth: int = 1, think_s: float = 0.0
) -> AsyncIterator[tuple[Bot, Measurements]]:
    account = account or await sign_in_guest(casino.url)
    found = Measurements()
    journey = Journey(account.user_id, Random(1), [], set())
    sync_url = addresses_of(casino.url).sync
    bot = Bot(sync_url, account, journey, "p-", found, EventCounter(), depth, think_s)
    running = asyncio.create_task(bot.run())
    yield bot, found
    bot.leave()
    await asyncio.wait_for(running, 5)


async def test_it_keeps_depth_commands_in_flight_and_no_more() -> None:
    async with FakeCasino(Faults(lose_reply=1)) as casino, bot_in(casino, depth=5) as (bot, found):
        bot.play()
        await until(lambda: casino.commands == 5)
        await asyncio.sleep(0.02)
        assert (casino.commands, bot.unanswered, found.acknowledged) == (5, 5, 0)


async def test_a_lost_answer_is_asked_for_again_under_the_same_id() -> None:
    async with FakeCasino(Faults(lose_reply=1)) as casino, bot_in(casino) as (bot, found):
        bot.play()
        await until(lambda: casino.commands == 1)
        casino.faults.lose_reply = 0
        bot.resend_older_than(2**63)
        await until(lambda: found.acknowledged > 3)
        bot.stop_playing()
        ids = [command_id for _, command_id, _ in casino.journal]
        assert len(set(ids)) == len(ids)
        assert found.resent == 1


async def test_thinking_slows_it_down() -> None:
    async with FakeCasino() as casino, bot_in(casino, think_s=30.0) as (bot, _):
        await until(lambda: bot.is_ready)
        bot.play()
        await asyncio.sleep(0.05)
        assert casino.commands == 0


async def test_a_refused_token_ends_it() -> None:
    stranger = Account("forged", "bearer", 60, "u_0")
    async with FakeCasino() as casino, bot_in(casino, stranger) as (bot, found):
        await until(lambda: bool(found.errors))
        await asyncio.sleep(0.2)
        assert found.errors == {"authentication:token_invalid": 1}
        assert not bot.is_ready


async def test_it_comes_back_and_resumes() -> None:
    async with FakeCasino() as casino, bot_in(casino) as (bot, found):
        await until(lambda: bot.is_ready)
        bot.play()
        for losses in range(1, 4):
            bot.lose_connection()
            await until(lambda: found.reconnects == losses)  # noqa: B023
            reached = found.acknowledged
            await until(lambda: found.acknowledged > reached + 5)  # noqa: B023
        bot.stop_playing()
        assert (bot.tracker.gaps, bot.tracker.regressions) == (0, 0)
        assert not found.errors
        assert bot.stall_ns_max > 0
