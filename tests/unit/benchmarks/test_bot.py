"""One bot alone with the fake casino: what it does with its commands when things go wrong."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from random import Random
from typing import Any

from benchmarks.bot import Bot
from benchmarks.journey import Journey
from benchmarks.lean_connection import EventCounter
from benchmarks.measurements import Measurements
from clients.sign_in import Account, addresses_of, sign_in_guest
from clients.token_keeper import TokenKeeper
from tests.unit.benchmarks.fake_casino import FakeCasino, Faults


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.002)


@asynccontextmanager
async def bot_in(
    casino: FakeCasino, account: Account | None = None, depth: int = 1, think_s: float = 0.0, **more: Any
) -> AsyncIterator[tuple[Bot, Measurements]]:
    account = account or await sign_in_guest(casino.url)
    found = Measurements()
    journey = Journey(account.user_id, Random(1), [], set())
    addresses = addresses_of(casino.url)
    tokens = TokenKeeper(addresses.http, account=account, **more)
    bot = Bot(addresses.sync, tokens, journey, "p-", found, EventCounter(), depth, think_s)
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


class Hours:
    now = 0.0

    def __call__(self) -> float:
        return self.now


async def test_it_plays_for_hours_on_one_connection() -> None:
    async with FakeCasino() as casino:
        casino.token_lasts_s = 900
        clock, gate = Hours(), asyncio.Semaphore(1)
        async with bot_in(casino, clock=clock) as (bot, found):
            bot.play()
            await until(lambda: found.acknowledged > 3)
            for renewals in range(1, 5):
                bot.renew_if_due(gate)
                assert casino.renewals == renewals - 1, "not before it is due"
                clock.now += 896
                bot.renew_if_due(gate)
                bot.renew_if_due(gate)
                await until(lambda: casino.renewals == renewals)  # noqa: B023
                await until(lambda: bot._renewing is None)
            assert casino.tokens_given == 5
            assert (found.reconnects, dict(found.errors)) == (0, {})


async def test_signed_out_it_comes_back_with_another_token() -> None:
    async with FakeCasino() as casino:
        casino.token_lasts_s = 900
        async with bot_in(casino) as (bot, found):
            bot.play()
            await until(lambda: found.acknowledged > 3)
            casino.sign_out()
            await until(lambda: found.reconnects == 1)
            reached = found.acknowledged
            await until(lambda: found.acknowledged > reached + 3)
            assert casino.tokens_given == 2
            assert not found.errors
            assert found.close_codes == {4401: 1}


async def test_signed_out_without_another_token_it_ends() -> None:
    async with FakeCasino() as casino, bot_in(casino) as (bot, found):
        await until(lambda: bot.is_ready)
        casino.sign_out()
        await until(lambda: bool(found.errors))
        assert found.errors == {"closed:4401": 1}
