"""Durable questions: the answer comes back as a command, and the caller's reply waits for it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from runtime.errors import Overloaded
from runtime.identity import ActorId, Packed
from runtime.stream import Failure, Result
from tests.unit.runtime.stall import Stall
from tests.unit.runtime.world import World

ANN, BEN = ActorId("stall/ann"), ActorId("stall/ben")
SELL_3 = b"\x81\xa5goods\x03"


def _goods(answer: Any) -> int:
    assert isinstance(answer, dict), answer
    return int(answer["goods"])


async def test_the_reply_is_that_of_the_answers_turn() -> None:
    async with World(Stall()) as world:
        await world.ask("ann", "1", "stock", goods=5)
        assert _goods(await world.ask("ben", "1", "buy", of="ann", goods=3)) == 3
        assert _goods(await world.ask("ann", "2", "look")) == 2


async def test_a_refusal_comes_back_as_an_error_and_may_change_the_asker() -> None:
    async with World(Stall()) as world:
        answer = await world.ask("ben", "1", "buy", of="ann", goods=3)
        assert isinstance(answer, Failure)
        assert (answer.code, answer.message, answer.retryable) == ("sold_out", "sold out", False)
        again = await world.ask("ben", "1", "buy", of="ann", goods=3)
        assert isinstance(again, Failure)
        assert again.code == "sold_out"


async def test_a_refused_question_stays_refused_when_it_is_asked_again() -> None:
    """The asker may have acted on the refusal: the receiver must not change its mind."""
    async with World(Stall()) as world:
        answer = await world.ask("ben", "1", "buy", of="ann", goods=3)
        assert isinstance(answer, Failure)
        await world.ask("ann", "1", "stock", goods=5)
        [question] = [turn for turn in world.all_turns("ann") if "ben" in turn.command_id]
        done: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        world.router.submit(
            ANN, question.command_id, "sell", SELL_3, done.set_result, BEN, again=True, is_question=True
        )
        assert (await done).code == "sold_out"
        assert _goods(await world.ask("ann", "2", "look")) == 5


async def test_a_plain_send_that_is_refused_may_succeed_when_it_is_sent_again() -> None:
    """Nobody acts on its refusal: an operator mends the rule, and lets it be sent again."""
    async with World(Stall()) as world:

        async def sent() -> Any:
            done: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
            world.router.submit(ANN, "\x01stall/ben:1:0", "sell", SELL_3, done.set_result, BEN)
            return await done

        assert (await sent()).code == "sold_out"
        await world.ask("ann", "1", "stock", goods=5)
        assert isinstance(await sent(), Result)


async def test_a_refusal_that_is_decided_instead_of_raised_is_remembered_too() -> None:
    async with World(Stall(refuses_by_reply=True)) as world:
        assert isinstance(await world.ask("ben", "1", "buy", of="ann", goods=3), Failure)
        assert [turn.command_id for turn in world.all_turns("ann")] == ["\x01stall/ben:000000000001:000"]


async def test_a_lapse_of_the_lease_does_not_leave_an_answer_behind() -> None:
    """The database stalls for longer than the lease, and nobody is fenced: what was committed but could
    not be said is said again."""
    async with World(Stall(placement=Packed(4))) as world:
        await world.ask("ann", "1", "stock", goods=50)
        [host] = world.hosts.values()
        valid, host._lease.is_valid = host._lease.is_valid, lambda: False  # type: ignore[method-assign]
        asking = asyncio.create_task(world.ask("ben", "1", "buy", of="ann", goods=3))
        await asyncio.sleep(0.2)
        host._lease.is_valid = valid  # type: ignore[method-assign]
        assert _goods(await asking) == 3
        assert _goods(await world.ask("ben", "2", "buy", of="ann", goods=4)) == 7
        async with asyncio.timeout(30):
            while world.memory._outbox:
                await asyncio.sleep(0.01)


async def test_one_that_is_away_holds_up_nobody_else() -> None:
    class Silent(Stall):
        def decide(self, state: Any, command: Any, context: Any) -> Any:
            if context.actor == "stall/gone" and context.sender is not None:
                raise Overloaded("away")
            return super().decide(state, command, context)

    async with World(Silent(placement=Packed(4)), outbox_poll_s=60.0) as world:
        await world.ask("ann", "1", "stock", goods=50)
        waiting = [
            asyncio.create_task(world.ask(f"b{number}", "1", "buy", of="gone", goods=1))
            for number in range(1200)
        ]
        await asyncio.sleep(0.3)
        async with asyncio.timeout(30):
            assert _goods(await world.ask("ben", "1", "buy", of="ann", goods=3)) == 3
    answers = await asyncio.gather(*waiting)
    assert {answer.code for answer in answers if isinstance(answer, Failure)} == {"unavailable"}


async def test_repeats_wait_for_the_same_answer() -> None:
    async with World(Stall()) as world:
        await world.ask("ann", "1", "stock", goods=5)
        answers = await asyncio.gather(*(world.ask("ben", "1", "buy", of="ann", goods=3) for _ in range(20)))
        assert {_goods(answer) for answer in answers} == {3}
        assert _goods(await world.ask("ann", "2", "look")) == 2


async def test_a_repeat_long_after_gets_the_same_answer() -> None:
    async with World(Stall(), replies_kept_max=2) as world:
        await world.ask("ann", "1", "stock", goods=5)
        await world.ask("ben", "1", "buy", of="ann", goods=3)
        for number in range(10):
            await world.ask("ben", f"s{number}", "stock", goods=1)
        assert _goods(await world.ask("ben", "1", "buy", of="ann", goods=3)) == 3
        assert _goods(await world.ask("ann", "2", "look")) == 2
        assert _goods(await world.ask("ben", "2", "look")) == 13


@pytest.mark.parametrize("interval", [1, 3, 1000])
async def test_questions_are_answered_once_whoever_dies(interval: int) -> None:
    async with World(Stall(placement=Packed(8)), hosts=3, snapshot_interval_turns=interval) as world:
        await asyncio.gather(*(world.ask(f"seller{n}", "s", "stock", goods=40) for n in range(4)))
        deaths = 0

        async def reaper() -> None:
            nonlocal deaths
            while True:
                await asyncio.sleep(0.1)
                name = sorted(world.hosts)[deaths % len(world.hosts)]
                await world.kill(name)
                deaths += 1

        async def buyer(name: str) -> int:
            bought = 0
            for number in range(25):
                await asyncio.sleep(0.01)
                seller = f"seller{number % 4}"
                while True:
                    answer = await world.ask(name, f"b{number}", "buy", of=seller, goods=1)
                    if not isinstance(answer, Failure):
                        bought += 1
                        break
                    if not answer.retryable:
                        assert answer.code == "sold_out"
                        break
                    await asyncio.sleep(0.01)
            return bought

        killing = asyncio.create_task(reaper())
        bought = await asyncio.gather(*(buyer(f"buyer{n}") for n in range(8)))
        killing.cancel()
        assert deaths >= 2
        assert sum(bought) == 160
        left = [await world.ask(f"seller{n}", "look", "look") for n in range(4)]
        assert sum(map(_goods, left)) == 0
        owned = [await world.ask(f"buyer{n}", "look", "look") for n in range(8)]
        assert [_goods(answer) for answer in owned] == bought
