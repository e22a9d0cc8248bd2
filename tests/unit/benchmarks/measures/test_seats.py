import asyncio

import pytest

from benchmarks.measures.guests import Guest
from benchmarks.measures.seats import Seats, answered
from benchmarks.measures.server import MeasureFailed
from tests.unit.benchmarks.fake_casino import FakeCasino, Player

SPIN = {"stake": 1}


def guests_of(casino: FakeCasino, count: int) -> list[Guest]:
    names = [f"u_seat{number}" for number in range(count)]
    casino.players.update({name: Player(name) for name in names})
    return [Guest(name, name) for name in names]


async def test_all_sit_and_each_is_answered() -> None:
    said: list[str] = []
    async with FakeCasino() as casino:
        async with Seats(casino.url) as seats:
            opened = await seats.open(guests_of(casino, 20), said.append, 10.0)
            assert len(casino.connections) == 20
            at_ns = await answered([seat.ask("spin_slots", SPIN) for seat in opened], 10.0)
            assert len(at_ns) == casino.commands == 20
        assert said[-1].startswith("sockets: 20 more")
        async with asyncio.timeout(5):
            while casino.connections:
                await asyncio.sleep(0.01)


async def test_what_can_be_repeated_is_repeated_until_it_is_done() -> None:
    async with FakeCasino() as casino, Seats(casino.url) as seats:
        opened = await seats.open(guests_of(casino, 6), lambda line: None, 10.0)
        casino.faults.overloaded = 2
        assert len(await answered([seat.ask("spin_slots", SPIN) for seat in opened], 10.0)) == 6
        assert seats.measurements.retried["overloaded"] > 0
        casino.faults.overloaded, casino.faults.drop_before = 0, 3
        assert len(await answered([seat.ask("spin_slots", SPIN) for seat in opened], 10.0)) == 6
        assert seats.measurements.reconnects > 0


async def test_a_refusal_is_the_measures_failure() -> None:
    async with FakeCasino() as casino, Seats(casino.url) as seats:
        opened = await seats.open(guests_of(casino, 3), lambda line: None, 10.0)
        with pytest.raises(MeasureFailed, match="3 of 3 were refused: subscribe: unknown_topic"):
            await answered([seat.ask("subscribe", {"topic": "nothing"}) for seat in opened], 10.0)
    assert await answered([], 1.0) == []


async def test_who_is_not_let_in() -> None:
    async with FakeCasino() as casino, Seats(casino.url) as seats:
        strangers = [Guest("u_stranger", "forged")]
        with pytest.raises(MeasureFailed, match=r"0 of 1 connections were let in .*token_invalid"):
            await seats.open(strangers, lambda line: None, 10.0)


async def test_no_answer_in_time() -> None:
    never = asyncio.get_running_loop().create_future()
    with pytest.raises(MeasureFailed, match="1 of 1 have no answer"):
        await answered([never], 0.01)
