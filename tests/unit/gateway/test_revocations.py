"""What a gateway remembers of voided tokens, and how it hears of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from gateway.revocations import STALE_AFTER_S, Revocations, RevocationWatch, Verdict
from runtime.errors import Unavailable
from tests.unit.gateway.fake_accounts import FakeAccounts
from tests.unit.gateway.fakes import FakeClock


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.002)


def test_the_latest_verdict_counts() -> None:
    revocations = Revocations(FakeClock(), kept_s=60)
    revocations.add("u_ann", Verdict(100, "password"))
    revocations.add("u_ann", Verdict(90, "role"))
    assert revocations.verdict("u_ann", 99) == (100, "password")
    assert revocations.verdict("u_ann", 100) is None
    assert revocations.verdict("u_bob", 0) is None
    revocations.add("u_ann", Verdict(100, "ban"))
    assert revocations.verdict("u_ann", 99) == (100, "ban"), "of the same second: the last one"


def test_it_is_forgotten_when_every_token_has_expired() -> None:
    clock = FakeClock()
    revocations = Revocations(clock, kept_s=60)
    revocations.add("u_ann", Verdict(100, "ban"))
    clock.seconds += 59
    revocations.add("u_bob", Verdict(159, "ban"))
    assert revocations.verdict("u_ann", 99) is not None
    clock.seconds += 2
    revocations.add("u_cid", Verdict(161, "ban"))
    assert len(revocations) == 2
    assert revocations.verdict("u_ann", 99) is None


def test_it_is_bounded_and_lets_nobody_in_for_that() -> None:
    revocations = Revocations(FakeClock(), kept_s=60, users_max=10)
    for number in range(100):
        revocations.add(f"u_{number}", Verdict(100 + number, "ban"))
    assert len(revocations) == 10
    for number in range(100):
        assert revocations.verdict(f"u_{number}", 99 + number) is not None
    assert revocations.verdict("u_new", 300) is None


class Told:
    def __init__(self, feed: FakeAccounts, poll_s: float = 0.005) -> None:
        self.feed = feed
        self.news: list[Mapping[str, Verdict]] = []
        self.clock = FakeClock()
        self.memory = Revocations(self.clock, kept_s=900)
        self.watch = RevocationWatch(feed, self.memory, self.news.append, self.clock, 960, poll_s)

    def knows(self, user_id: str) -> bool:
        return self.memory.verdict(user_id, 0) is not None


async def test_a_gateway_hears_of_what_is_new_each_once() -> None:
    feed = FakeAccounts(FakeClock())
    feed.void("u_ann", "password")
    told = Told(feed)
    await told.watch.start()
    assert told.knows("u_ann"), "before the first token is believed"
    feed.void("u_bob", "ban")
    feed.void("u_cid", "role")
    await until(lambda: told.knows("u_cid"))
    assert [sorted(news) for news in told.news] == [["u_ann"], ["u_bob", "u_cid"]]
    assert told.news[1]["u_bob"].because == "ban"
    await told.watch.stop()
    feed.void("u_dan", "ban")
    await asyncio.sleep(0.02)
    assert not told.knows("u_dan")


async def test_a_long_log_is_read_to_its_end() -> None:
    feed = FakeAccounts(FakeClock())
    for number in range(2500):
        feed.void(f"u_{number}", "logout")
    told = Told(feed)
    await told.watch.start()
    assert told.knows("u_2499")
    assert feed.asked["after"] == 3
    await told.watch.stop()


async def test_it_waits_for_the_database_and_outlives_its_absence() -> None:
    feed = FakeAccounts(FakeClock())
    feed.error = Unavailable("away")
    told = Told(feed)
    starting = asyncio.ensure_future(told.watch.start())
    await until(lambda: feed.asked["position"] >= 2)
    assert not starting.done()
    feed.error = None
    await starting
    for error in (Unavailable("away"), ValueError("a defect")):
        feed.error, asked = error, feed.asked["after"]
        await until(lambda asked=asked: feed.asked["after"] > asked + 1)  # type: ignore[misc]
    feed.void("u_ann", "ban")
    feed.error = None
    await until(lambda: told.knows("u_ann"))
    await told.watch.stop()


async def test_the_memory_knows_before_sockets_are_closed() -> None:
    feed = FakeAccounts(FakeClock())
    memory = Revocations(FakeClock(), kept_s=900)
    known: list[bool] = []
    watch = RevocationWatch(
        feed,
        memory,
        lambda news: known.extend(memory.verdict(user, 0) is not None for user in news),
        FakeClock(),
        960,
    )
    feed.void("u_ann", "ban")
    await watch.start()
    assert known == [True]
    await watch.stop()


async def test_a_gateway_begins_where_it_matters() -> None:
    clock = FakeClock()
    feed = FakeAccounts(clock)
    for number in range(3000):
        feed.void(f"u_{number}", "logout")
    clock.ms += 1_000_000
    told = Told(feed)
    await told.watch.start()
    assert (feed.asked["position"], feed.asked["after"]) == (1, 1), "the old ones are not read"
    assert len(told.memory) == 0
    feed.void("u_ann", "ban")
    await until(lambda: told.knows("u_ann"))
    assert [sorted(news) for news in told.news] == [["u_ann"]]
    await told.watch.stop()


async def test_what_is_old_is_deleted_a_little_at_a_time_and_then_every_hour() -> None:
    clock = FakeClock()
    feed = FakeAccounts(clock)
    for number in range(1500):
        feed.void(f"u_{number}", "logout")
    clock.ms += 2 * 86_400_000
    feed.void("u_ann", "ban")
    told = Told(feed)
    await told.watch.start()
    await until(lambda: len(feed.revocations) == 1)
    asked = feed.asked["after"]
    await until(lambda: feed.asked["after"] > asked + 3)
    assert feed.asked["forget"] == 2, "1000, and the rest"
    clock.ms += 2 * 86_400_000
    told.clock.seconds += 3600
    await until(lambda: feed.revocations == [])
    assert feed.asked["forget"] == 3
    feed.void("u_bob", "ban")
    await until(lambda: told.knows("u_bob"))
    await told.watch.stop()


async def test_a_deletion_that_fails_keeps_nobody_in() -> None:
    class Stubborn(FakeAccounts):
        async def forget(self, age_s: float, limit: int) -> int:
            self.asked["forget"] += 1
            raise Unavailable("busy")

    feed = Stubborn(FakeClock())
    told = Told(feed)
    await told.watch.start()
    await until(lambda: feed.asked["forget"])
    feed.void("u_ann", "ban")
    await until(lambda: told.knows("u_ann"))
    await told.watch.stop()
    assert feed.asked["forget"] == 1, "next in an hour"


async def test_what_was_long_not_heard_is_stale() -> None:
    feed = FakeAccounts(FakeClock())
    told = Told(feed)
    assert not told.memory.is_stale, "nobody has listened yet"
    await told.watch.start()
    told.clock.seconds += STALE_AFTER_S + 1
    await until(lambda: not told.memory.is_stale)
    feed.error = Unavailable("away")
    asked = feed.asked["after"]
    await until(lambda: feed.asked["after"] > asked + 1)
    told.clock.seconds += STALE_AFTER_S + 1
    asked = feed.asked["after"]
    await until(lambda: feed.asked["after"] > asked + 1)
    assert told.memory.is_stale
    feed.error = None
    await until(lambda: not told.memory.is_stale)
    await told.watch.stop()
