"""The relay between a journal and a publisher, both of which may fail at any time."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence

import msgspec
import pytest

from runtime.envelope import TurnEvents
from runtime.errors import JournalError
from runtime.memory_journal import MemoryJournal, MemoryJournalTail, MemoryMembership
from runtime.relay import (
    EventRelay,
    JournalTail,
    Page,
    Place,
    PublishFailed,
    PublishRefused,
    RelaySettings,
    Superseded,
)
from tests.contract.turns import ANN, BEN, ManualClock, batch, turn

QUICK = RelaySettings(turns_per_page_max=4, poll_s=0.001, retry_first_s=0.001, retry_max_s=0.002)


class Recorder:
    """A publisher that keeps what it is given; ``trouble`` is raised instead, one by one."""

    def __init__(self) -> None:
        self.turns: list[tuple[str, int]] = []
        self.trouble: list[Exception] = []
        self.calls: list[int] = []
        self.takes_part_of_what_fails = False
        self.refused: set[tuple[str, int]] = set()

    async def publish(self, turns: Sequence[TurnEvents]) -> None:
        self.calls.append(len(turns))
        if self.trouble:
            if self.takes_part_of_what_fails:
                self.turns += [(turn.actor, turn.seq) for turn in turns[:1]]
            raise self.trouble.pop(0)
        for published in turns:
            if (published.actor, published.seq) in self.refused:
                raise PublishRefused(published.actor, published.seq, "too strange")
        self.turns += [(turn.actor, turn.seq) for turn in turns]
        await asyncio.sleep(0)

    async def close(self) -> None: ...


class FragileTail:
    """A tail whose methods fail as told."""

    def __init__(self, tail: JournalTail) -> None:
        self._tail = tail
        self.held_back_ms: int | None = None
        self.trouble: dict[str, list[Exception]] = {"claim": [], "read": [], "advance": []}

    async def claim(self):  # type: ignore[no-untyped-def]
        self._fail("claim")
        return await self._tail.claim()

    async def resume(self, epoch: int):  # type: ignore[no-untyped-def]
        return await self._tail.resume(epoch)

    async def read(self, after: Place, turns_max: int) -> Page:
        await asyncio.sleep(0)
        if self.held_back_ms is not None:
            return Page([], after, self.held_back_ms)
        self._fail("read")
        return await self._tail.read(after, turns_max)

    async def advance(self, epoch: int, place: Place) -> None:
        self._fail("advance")
        await self._tail.advance(epoch, place)

    def _fail(self, method: str) -> None:
        if self.trouble[method]:
            raise self.trouble[method].pop(0)


class World:
    def __init__(self) -> None:
        self.clock = ManualClock()
        self.membership = MemoryMembership(self.clock)
        self.journal = MemoryJournal(self.membership)
        self.tail = FragileTail(MemoryJournalTail(self.journal))
        self.publisher = Recorder()
        self.relay = self.another_relay()

    def another_relay(self) -> EventRelay:
        return EventRelay(self.tail, self.publisher, self.clock, (), QUICK)

    async def commit(self, turns: int, actor: str = ANN, first: int = 1) -> None:
        incarnation = await self.membership.register("host", "nowhere", 60)
        for seq in range(first, first + turns):
            await self.journal.commit(batch(incarnation, turn(actor, seq)))  # type: ignore[arg-type]

    async def run_until(self, done, relay: EventRelay | None = None) -> None:  # type: ignore[no-untyped-def]
        running = asyncio.create_task((relay or self.relay).run())
        async with asyncio.timeout(30):
            while not done() and not running.done():
                await asyncio.sleep(0.001)
        if running.done():
            running.result()
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running


@pytest.fixture
def world() -> World:
    return World()


def all_of(actor: str, turns: int) -> list[tuple[str, int]]:
    return [(actor, seq) for seq in range(1, turns + 1)]


async def test_every_turn_is_published_once_and_in_order(world: World) -> None:
    await world.commit(11)
    await world.commit(3, BEN)
    await world.run_until(lambda: len(world.publisher.turns) >= 14)
    assert world.publisher.turns == all_of(ANN, 11) + all_of(BEN, 3)
    assert max(world.publisher.calls) <= QUICK.turns_per_page_max
    assert world.relay.statistics.turns == 14


async def test_a_turn_that_comes_later_is_published_later(world: World) -> None:
    await world.commit(2)
    running = asyncio.create_task(world.run_until(lambda: len(world.publisher.turns) >= 5))
    await asyncio.sleep(0.01)
    await world.commit(3, first=3)
    await running
    assert world.publisher.turns == all_of(ANN, 5)


async def test_what_could_not_be_published_is_published_again(world: World) -> None:
    await world.commit(9)
    world.publisher.trouble = [PublishFailed("no leader"), PublishFailed("no leader")]
    world.publisher.takes_part_of_what_fails = True
    await world.run_until(lambda: len(set(world.publisher.turns)) >= 9)
    assert set(world.publisher.turns) == set(all_of(ANN, 9))
    assert world.publisher.turns[2:] == all_of(ANN, 9)
    assert world.relay.statistics.failures == 2


@pytest.mark.parametrize("method", ["claim", "read", "advance"])
async def test_a_journal_out_of_reach_loses_nothing(world: World, method: str) -> None:
    await world.commit(9)
    world.tail.trouble[method] = [JournalError("down"), JournalError("down")]
    await world.run_until(lambda: len(set(world.publisher.turns)) >= 9)
    assert sorted(set(world.publisher.turns)) == all_of(ANN, 9)


async def test_a_successor_publishes_again_at_most_what_was_not_stored(world: World) -> None:
    await world.commit(6)
    await world.run_until(lambda: len(world.publisher.turns) >= 6)
    await world.commit(4, first=7)
    await world.run_until(lambda: len(world.publisher.turns) >= 10, world.another_relay())
    assert sorted(set(world.publisher.turns)) == all_of(ANN, 10)
    assert len(world.publisher.turns) <= 10 + QUICK.turns_per_page_max


async def test_a_superseded_relay_ends(world: World) -> None:
    await world.commit(1)
    await world.run_until(lambda: len(world.publisher.turns) >= 1)
    await world.tail.claim()
    await world.commit(1, first=2)
    with pytest.raises(Superseded):
        await world.run_until(lambda: False)


async def test_a_turn_that_nobody_will_ever_take_holds_nobody_up(world: World) -> None:
    await world.commit(6)
    world.publisher.refused = {(ANN, 2), (ANN, 3)}
    await world.run_until(lambda: len(world.publisher.turns) >= 4)
    assert world.publisher.turns == [(ANN, 1), (ANN, 4), (ANN, 5), (ANN, 6)]
    assert world.relay.statistics.refused == 2


async def test_a_turn_that_nobody_can_read_holds_nobody_up(world: World) -> None:
    await world.commit(2)
    incarnation = await world.membership.register("host", "nowhere", 60)
    await world.journal.commit(batch(incarnation, msgspec.structs.replace(turn(BEN, 1), body=b"\xc1")))
    await world.commit(2, first=3)
    await world.run_until(lambda: world.relay.statistics.turns == 4)
    assert world.publisher.turns == [(ANN, 1), (ANN, 2), (ANN, 3), (ANN, 4)]
    assert world.relay.statistics.refused == 1


async def test_the_lag_grows_while_nothing_can_be_published(world: World) -> None:
    await world.commit(1)
    world.clock.seconds = 1_700_000_010.0
    world.publisher.trouble = [PublishFailed("down")] * 3
    await world.run_until(lambda: world.relay.statistics.failures >= 2)
    lag_ms = world.clock.now_ms() - world.relay.statistics.published_until_ms
    assert lag_ms == world.clock.now_ms() - (1_700_000_000_000 + 1)
    await world.run_until(lambda: world.relay.statistics.published_until_ms == world.clock.now_ms())


async def test_what_a_transaction_holds_back_is_lag(world: World) -> None:
    await world.commit(1)
    world.clock.seconds = 1_700_000_090.0
    world.tail.held_back_ms = 1_700_000_000_001
    await world.run_until(lambda: world.relay.statistics.published_until_ms is not None)
    assert world.relay.statistics.published_until_ms == 1_700_000_000_001
    assert world.relay.statistics.held_back_ms == 1_700_000_000_001
    world.tail.held_back_ms = None
    relay = world.another_relay()
    await world.run_until(lambda: relay.statistics.published_until_ms == world.clock.now_ms(), relay)
    assert relay.statistics.held_back_ms is None


async def test_a_page_has_no_more_turns_than_its_bytes_allow(world: World) -> None:
    await world.commit(40)
    size = len(turn(ANN, 1).body)
    settings = msgspec.structs.replace(
        QUICK, turns_first_page=2, turns_per_page_max=100, bytes_per_page=8 * size + 7
    )
    relay = EventRelay(world.tail, world.publisher, world.clock, (), settings)
    await world.run_until(lambda: len(world.publisher.turns) >= 40, relay)
    assert world.publisher.turns == all_of(ANN, 40)
    assert world.publisher.calls[:4] == [2, 4, 8, 8]


async def test_after_a_failure_the_stored_place_counts(world: World) -> None:
    await world.commit(8)
    running = asyncio.create_task(world.run_until(lambda: (ANN, 9) in world.publisher.turns))
    while len(world.publisher.turns) < 8:
        await asyncio.sleep(0.001)
    await asyncio.sleep(0.01)
    # A server that has taken over knows less of how far we were.
    world.tail._tail._place = Place(0, 6)  # type: ignore[attr-defined]
    world.tail.trouble["read"] = [JournalError("failed over")]
    await world.commit(1, first=9)
    await running
    assert world.publisher.turns[-3:] == [(ANN, 7), (ANN, 8), (ANN, 9)]
