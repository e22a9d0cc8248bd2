"""One Crash bot alone with the fake casino: what it does when."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from random import Random

from benchmarks.crash.bot import CrashBot, Game
from benchmarks.crash.strategy import Plan, Strategy
from benchmarks.lean_connection import EventCounter
from benchmarks.measurements import Measurements
from clients.sign_in import addresses_of, sign_in_guest
from clients.token_keeper import TokenKeeper
from tests.unit.benchmarks.fake_casino import FakeCasino
from tests.unit.benchmarks.fake_table import SALT, FakeTable


class Always(Strategy):
    """The same plan in each round."""

    def __init__(self, plan: Plan | None) -> None:
        super().__init__(0, Random(0))
        self.answer = plan

    def plan(self, gold: int | None, stake_min: int = 1, stake_max: int | None = None) -> Plan | None:
        return self.answer


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.002)


@asynccontextmanager
async def one_round(plan: Plan | None) -> AsyncIterator[tuple[CrashBot, Game, Measurements, FakeCasino]]:
    """After the first round, in which the bot followed this plan, and with its bet settled."""
    table = FakeTable(rounds=1, low=200, high=400)
    async with FakeCasino(table=table) as casino:
        addresses = addresses_of(casino.url)
        tokens = TokenKeeper(addresses.http, account=await sign_in_guest(casino.url))
        game, found = Game("main"), Measurements()
        game.salt = SALT
        bot = CrashBot(
            addresses.sync,
            tokens,
            Always(plan),
            Random(1),
            game,
            "p-",
            found,
            EventCounter(),
        )
        running = asyncio.create_task(bot.run())
        await until(lambda: table.subscriptions == 1)
        bot.play()
        casino.open_table()
        await until(lambda: game.feed.rounds_ended == {1} and not bot.open_bets and not bot.unanswered)
        bot.leave()
        await asyncio.wait_for(running, 5)
        assert bot.close_books() == 0
        assert not game.violations.kinds, game.violations.examples
        assert not found.errors
        yield bot, game, found, casino


async def test_it_cashes_out_at_its_target() -> None:
    async with one_round(Plan(10, target=150)) as (bot, game, found, _):
        assert (game.bets, game.cash_outs) == (1, 1)
        bet = bot.account.bets[1]
        assert bet.multiplier is not None
        assert bet.multiplier >= 150
        assert bot.gold == 10_000 - 10 + 10 * bet.multiplier // 100
        assert not found.refused


async def test_the_house_cashes_out_for_it() -> None:
    async with one_round(Plan(10, auto=150)) as (bot, game, _, _):
        assert (game.bets, game.cash_outs, bot.gold) == (1, 0, 10_005)


async def test_it_rides_into_the_crash() -> None:
    async with one_round(Plan(10)) as (bot, game, _, _):
        assert (game.bets, game.cash_outs, bot.gold) == (1, 0, 9_990)


async def test_it_sits_out() -> None:
    async with one_round(None) as (bot, game, _, _):
        assert (game.bets, bot.gold) == (0, 10_000)
        assert bot.witness.rounds_seen == 1


async def test_it_is_hasty_and_comes_again() -> None:
    async with one_round(Plan(10, target=150, hasty=True)) as (_, game, found, _):
        assert found.refused["round_not_running"] >= 1
        assert game.cash_outs == 1


async def test_it_is_late() -> None:
    async with one_round(Plan(10, late=True)) as (_, game, found, _):
        assert game.cash_outs == 0
        assert found.refused.keys() <= {"no_open_bet", "round_over"}
        assert sum(found.refused.values()) == 1


async def test_it_cashes_out_at_a_moment() -> None:
    async with one_round(Plan(10, after_ms=30)) as (_, game, found, _):
        assert game.cash_outs + sum(found.refused.values()) >= 1
