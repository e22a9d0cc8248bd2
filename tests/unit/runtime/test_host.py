import asyncio
import logging
from typing import Any

import pytest

from runtime.errors import CommitUnknown, JournalError
from runtime.identity import ActorId, Dedicated, Packed
from runtime.journal import FIRST_REMINDER
from runtime.stream import Attached, Failure
from tests.unit.runtime.purse import Purse
from tests.unit.runtime.world import World


def _gold(answer: Any) -> int:
    assert isinstance(answer, dict), answer
    return int(answer["gold"])


async def test_a_command_is_applied_and_durable() -> None:
    async with World(Purse()) as world:
        assert _gold(await world.ask("ann", "1", "add", amount=5)) == 5
        assert [turn.command_id for turn in await world.turns("ann")] == ["1"]


async def test_the_same_id_gets_the_stored_reply() -> None:
    async with World(Purse()) as world:
        answers = await asyncio.gather(*(world.ask("ann", "1", "add", amount=5) for _ in range(10)))
        assert {_gold(answer) for answer in answers} == {5}
        assert _gold(await world.ask("ann", "2", "read")) == 5


async def test_a_reused_id_is_an_error() -> None:
    async with World(Purse()) as world:
        await world.ask("ann", "1", "add", amount=5)
        answer = await world.ask("ann", "1", "add", amount=6)
        assert isinstance(answer, Failure)
        assert answer.code == "id_reused"
        assert _gold(await world.ask("ann", "2", "read")) == 5


async def test_a_repeat_beyond_the_window_is_found_in_the_journal() -> None:
    async with World(Purse(), replies_kept_max=2) as world:
        for number in range(20):
            await world.ask("ann", f"c{number}", "add", amount=1)
        assert _gold(await world.ask("ann", "c0", "add", amount=1)) == 1
        assert _gold(await world.ask("ann", "r", "read")) == 20
        answer = await world.ask("ann", "c1", "add", amount=9)
        assert isinstance(answer, Failure)
        assert answer.code == "id_reused"


async def test_a_repeat_beyond_the_window_does_not_harm_its_neighbours() -> None:
    async with World(Purse(), replies_kept_max=2) as world:
        for number in range(20):
            await world.ask("ann", f"c{number}", "add", amount=1)
        answers = await asyncio.gather(
            *(world.ask("ben", f"b{number}", "add", amount=1) for number in range(50)),
            world.ask("ann", "n1", "add", amount=1),
            world.ask("ann", "c0", "add", amount=1),
            world.ask("ann", "n2", "add", amount=1),
            *(world.ask("cat", f"b{number}", "add", amount=1) for number in range(50)),
        )
        assert sorted(_gold(answer) for answer in answers[:50]) == list(range(1, 51))
        assert [_gold(answer) for answer in answers[50:53]] == [21, 1, 22]
        assert _gold(await world.ask("cat", "r", "read")) == 50


async def test_a_rejection_changes_nothing() -> None:
    async with World(Purse()) as world:
        answer = await world.ask("ann", "1", "add", amount=-1)
        assert isinstance(answer, Failure)
        assert answer.code == "bad_amount"
        assert not await world.turns("ann")


@pytest.mark.parametrize(
    ("name", "data", "code"),
    [
        ("fly", {}, "unknown_command"),
        ("add", {}, "invalid_data"),
        ("add", {"amount": "much"}, "invalid_data"),
        ("add", {"amount": 1.5}, "invalid_data"),
        ("add", {"amount": True}, "invalid_data"),
    ],
)
async def test_bad_commands_get_typed_errors(name: str, data: dict[str, Any], code: str) -> None:
    async with World(Purse()) as world:
        answer = await world.ask("ann", "1", name, **data)
        assert isinstance(answer, Failure)
        assert answer.code == code


async def test_a_defect_in_a_rule_is_contained() -> None:
    async with World(Purse()) as world:
        await world.ask("ann", "1", "add", amount=5)
        answer = await world.ask("ann", "break", "break")
        assert isinstance(answer, Failure)
        assert answer.code == "internal"
        assert _gold(await world.ask("ann", "2", "add", amount=1)) == 6


async def test_a_turn_the_database_refuses_takes_nobody_along() -> None:
    async with World(Purse()) as world:
        await world.ask("ann", "1", "add", amount=5)
        answers = await asyncio.gather(
            world.ask("ben", "1", "add", amount=1),
            world.ask("ann", "overdraw", "overdraw", amount=50),
            world.ask("ann", "2", "add", amount=1),
            world.ask("cat", "1", "add", amount=1),
        )
        assert _gold(answers[0]) == 1
        assert isinstance(answers[1], Failure)
        assert _gold(answers[3]) == 1
        assert _gold(await world.ask("ann", "r", "read")) in (5, 6)
        world.audit()


class LosesReplies:
    """A journal whose commits happen, but whose replies get lost, now and then."""

    def __init__(self, journal: Any, before: int, after: int) -> None:
        self._journal = journal
        self._before, self._after, self._count = before, after, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._journal, name)

    async def commit(self, batch: Any) -> None:
        self._count += 1
        if self._count % self._before == 0:
            raise CommitUnknown("lost before")
        await self._journal.commit(batch)
        if self._count % self._after == 0:
            raise CommitUnknown("lost after")


async def test_an_unknown_commit_is_resolved_by_reading() -> None:
    world = World(Purse())
    world.journal = LosesReplies(world.memory, before=3, after=2)
    async with world:
        for number in range(20):
            assert _gold(await world.ask("ann", f"c{number}", "add", amount=1)) == number + 1
        assert len(await world.turns("ann")) == 20


async def test_nothing_leaves_before_the_commit() -> None:
    world = World(Purse())
    open_gate = asyncio.Event()

    class Slow:
        def __getattr__(self, name: str) -> Any:
            return getattr(world.memory, name)

        async def commit(self, batch: Any) -> None:
            await open_gate.wait()
            await world.memory.commit(batch)

    world.journal = Slow()
    async with world:
        await world.attach("ann", None)
        answers = [
            asyncio.create_task(world.ask("ann", "1", "add", amount=5)),
            asyncio.create_task(world.ask("ann", "2", "read")),
            asyncio.create_task(world.ask("ann", "3", "add", amount=-1)),
            asyncio.create_task(world.ask("ann", "1", "add", amount=5)),
        ]
        await asyncio.sleep(0.1)
        assert not any(answer.done() for answer in answers)
        assert not world.pushes
        open_gate.set()
        await asyncio.gather(*answers)
        assert _gold(answers[1].result()) == 5
        assert len(world.pushes) == 1


async def test_passivated_actors_come_back() -> None:
    async with World(Purse(), passivate_after_s=0.02) as world:
        await world.ask("ann", "1", "add", amount=5)
        host = world.hosts["session-host-0"]
        async with asyncio.timeout(30):
            while host.resident:
                await asyncio.sleep(0.05)
        assert _gold(await world.ask("ann", "2", "add", amount=1)) == 6
        assert _gold(await world.ask("ann", "1", "add", amount=5)) == 5


@pytest.mark.parametrize("interval", [1, 3, 1000])
async def test_a_killed_host_loses_nothing(interval: int) -> None:
    async with World(Purse(), hosts=2, snapshot_interval_turns=interval) as world:
        keys = [f"p{number}" for number in range(20)]

        async def play(key: str) -> None:
            for number in range(60):
                assert _gold(await world.ask(key, f"c{number}", "add", amount=1)) == number + 1
                await asyncio.sleep(0.002)

        players = [asyncio.create_task(play(key)) for key in keys]
        for number in range(4):
            await asyncio.sleep(0.05)
            await world.kill(f"session-host-{number % 2}")
        await asyncio.gather(*players)
        for key in keys:
            assert len(await world.turns(f"{key}")) == 60
        world.audit()


async def test_shards_move_to_a_new_host_and_back() -> None:
    async with World(Purse(placement=Packed(16))) as world:
        keys = [f"p{number}" for number in range(30)]

        async def play(key: str) -> None:
            for number in range(100):
                assert _gold(await world.ask(key, f"c{number}", "add", amount=1)) == number + 1

        await asyncio.gather(*(world.attach(key, None) for key in keys))
        players = [asyncio.create_task(play(key)) for key in keys]
        desired = await world.membership.desired()
        await world.membership.set_desired(desired._replace(session_hosts=3))
        async with asyncio.timeout(30):
            while len({*(await world.membership.shard_map()).owners.values()}) < 3:
                await asyncio.sleep(0.01)
            await world.membership.set_desired(desired)
            while len({*(await world.membership.shard_map()).owners.values()}) > 1:
                await asyncio.sleep(0.01)
            await asyncio.gather(*players)
        assert world.lost_actors
        world.audit()


async def test_a_fenced_host_stops_and_answers_nothing() -> None:
    async with World(Purse()) as world:
        await world.ask("ann", "1", "add", amount=1)
        host = world.hosts.pop("session-host-0")
        await world.membership.fence(host.incarnation)
        world.dead.add(host.incarnation)
        answer = await world.ask("ann", "2", "add", amount=1)
        assert _gold(answer) == 2
        await host.stop()


async def test_payments_arrive_exactly_once_whoever_dies() -> None:
    async with World(Purse(), hosts=2) as world:
        keys = [f"p{number}" for number in range(10)]
        for key in keys:
            await world.ask(key, "seed", "add", amount=1000)

        async def play(position: int) -> None:
            for number in range(20):
                to = keys[(position + number + 1) % len(keys)]
                await world.ask(keys[position], f"pay{number}", "pay", to=to, amount=1)
                await asyncio.sleep(0.005)

        players = [asyncio.create_task(play(position)) for position in range(len(keys))]
        for number in range(3):
            await asyncio.sleep(0.05)
            await world.kill(f"session-host-{number % 2}")
        await asyncio.gather(*players)
        async with asyncio.timeout(30):
            while await world.memory.unacknowledged("", 10):
                await asyncio.sleep(0.02)
        world.audit()
        balances = [_gold(await world.ask(key, "end", "read")) for key in keys]
        assert sum(balances) == 1000 * len(keys)


async def test_reminders_ring_once_even_after_a_kill() -> None:
    async with World(Purse(), hosts=1) as world:
        due = world.clock.now_ms() + 500
        await world.ask("ann", "1", "alarm", due_ms=due)
        await world.ask("ben", "1", "alarm", due_ms=due)
        await world.ask("ben", "2", "alarm", due_ms=None)
        await world.kill("session-host-0")
        await asyncio.sleep(1.5)
        answer = await world.ask("ann", "2", "read")
        assert isinstance(answer, dict)
        assert answer["rings"] == 1
        answer = await world.ask("ben", "3", "read")
        assert isinstance(answer, dict)
        assert answer["rings"] == 0


async def test_resume_gets_what_was_missed() -> None:
    async with World(Purse()) as world:
        for number in range(5):
            await world.ask("ann", f"c{number}", "add", amount=1)
        attached = await world.attach("ann", 2)
        assert isinstance(attached, Attached)
        assert attached.view is None
        assert [turn.first_seq for turn in attached.backlog] == [3, 4, 5]
        assert attached.position == 5
        fresh = await world.attach("ann", None)
        assert isinstance(fresh, Attached)
        assert fresh.view is not None
        assert fresh.position == 5
        current = await world.attach("ann", 5)
        assert isinstance(current, Attached)
        assert current.view is None
        assert not current.backlog


async def test_too_far_behind_gets_a_view() -> None:
    async with World(Purse(), backfill_turns_max=3) as world:
        for number in range(10):
            await world.ask("ann", f"c{number}", "add", amount=1)
        attached = await world.attach("ann", 1)
        assert isinstance(attached, Attached)
        assert attached.view is not None
        assert attached.position == 10


async def test_dedicated_actors_have_a_host_each() -> None:
    async with World(Purse(placement=Dedicated()), hosts=0) as world:
        answers = await asyncio.gather(*(world.ask(k, "1", "add", amount=1) for k in ("ann", "ben")))
        assert [_gold(answer) for answer in answers] == [1, 1]
        assert set(world.hosts) == {"purse-ann", "purse-ben"}
        await world.kill("purse-ann")
        assert _gold(await world.ask("ann", "2", "add", amount=1)) == 2


async def test_a_full_mailbox_says_so_at_once() -> None:
    async with World(Purse(), mailbox_messages_max=5) as world:
        answers = await asyncio.gather(*(world.ask("ann", f"c{n}", "add", amount=1) for n in range(50)))
        refused = [answer for answer in answers if isinstance(answer, Failure)]
        assert refused
        assert {answer.code for answer in refused} == {"overloaded"}
        assert all(answer.retryable for answer in refused)
        assert _gold(await world.ask("ann", "r", "read")) == 50 - len(refused)


async def test_a_rule_that_fails_half_way_leaves_no_trace() -> None:
    async with World(Purse(unlucky=frozenset({7}))) as world:
        answers = await asyncio.gather(
            world.ask("ann", "1", "add", amount=5),
            world.ask("ann", "2", "add", amount=2),
            world.ask("ann", "3", "add", amount=1),
        )
        assert _gold(answers[0]) == 5
        assert isinstance(answers[1], Failure)
        assert answers[1].code == "internal"
        assert _gold(answers[2]) == 6
        assert _gold(await world.ask("ann", "4", "read")) == 6
        assert [turn.seq for turn in await world.turns("ann")] == [1, 2]


async def test_only_the_defective_turn_is_refused() -> None:
    async with World(Purse()) as world:
        answers = await asyncio.gather(
            world.ask("ann", "1", "add", amount=5),
            world.ask("ann", "overdraw", "overdraw", amount=50),
            world.ask("ann", "2", "add", amount=1),
            world.ask("ann", "3", "add", amount=1),
        )
        assert _gold(answers[0]) == 5
        assert isinstance(answers[1], Failure)
        assert [_gold(answer) for answer in answers[2:]] == [6, 7]
        world.audit()


async def test_a_moved_reminder_rings_at_its_new_time_only() -> None:
    async with World(Purse()) as world:
        now = world.clock.now_ms()
        await world.ask("ann", "1", "alarm", due_ms=now + 1000)
        await world.ask("ben", "1", "alarm", due_ms=now + 1000)
        await asyncio.sleep(0.3)
        await world.ask("ann", "2", "alarm", due_ms=now + 2500)
        await world.ask("ben", "2", "alarm", due_ms=None)
        await asyncio.sleep(1.1)
        rings = [await world.ask(key, "r1", "read") for key in ("ann", "ben")]
        assert [ring["rings"] for ring in rings if isinstance(ring, dict)] == [0, 0]
        await asyncio.sleep(2.0)
        rings = [await world.ask(key, "r2", "read") for key in ("ann", "ben")]
        assert [ring["rings"] for ring in rings if isinstance(ring, dict)] == [1, 0]


async def test_a_reminder_set_again_for_the_same_time_rings_again() -> None:
    async with World(Purse()) as world:
        due = world.clock.now_ms()
        for number in range(3):
            await world.ask("ann", f"c{number}", "alarm", due_ms=due)
            await asyncio.sleep(0.2)
        answer = await world.ask("ann", "r", "read")
        assert isinstance(answer, dict)
        assert answer["rings"] == 3
        assert not await world.memory.reminders_due(due + 10_000, FIRST_REMINDER, 10)


async def test_a_client_cannot_take_a_sends_id_in_advance() -> None:
    async with World(Purse()) as world:
        await world.ask("ann", "1", "add", amount=5)
        for squatted in ("purse/ann:2:0", "purse/ann:000000000002:000"):
            await world.ask("ben", squatted, "add", amount=1)
        await world.ask("ann", "2", "pay", to="ben", amount=5)
        async with asyncio.timeout(30):
            while await world.memory.unacknowledged("", 10):
                await asyncio.sleep(0.02)
        assert not world.memory.refused
        assert _gold(await world.ask("ben", "r", "read")) == 7


async def test_payments_between_two_arrive_in_order() -> None:
    async with World(Purse(), outbox_queued_max=3) as world:
        await world.ask("ann", "seed", "add", amount=100)
        await asyncio.gather(*(world.ask("ann", f"p{n}", "pay", to="ben", amount=1) for n in range(30)))
        async with asyncio.timeout(30):
            while await world.memory.unacknowledged("", 100):
                await asyncio.sleep(0.02)
        received = [turn.command_id for turn in await world.turns("ben")]
        assert len(received) == 30
        assert received == sorted(received)


async def test_overload_is_said_at_once_though_nothing_commits() -> None:
    world = World(Purse(), mailbox_messages_max=5)
    open_gate = asyncio.Event()

    class Stuck:
        def __getattr__(self, name: str) -> Any:
            return getattr(world.memory, name)

        async def commit(self, batch: Any) -> None:
            await open_gate.wait()
            await world.memory.commit(batch)

    world.journal = Stuck()
    async with world:
        asked = [asyncio.create_task(world.ask("ann", f"c{n}", "add", amount=1)) for n in range(50)]
        async with asyncio.timeout(30):
            while sum(task.done() for task in asked) < 45:
                await asyncio.sleep(0.01)
        open_gate.set()
        await asyncio.gather(*asked)


async def test_a_listener_that_left_while_the_actor_loaded_is_not_subscribed() -> None:
    async with World(Purse()) as world:
        actor = ActorId("purse/ann")
        attaching = asyncio.create_task(world.attach("ann", None))
        await asyncio.sleep(0)
        world.router.detach(actor)
        await asyncio.wait([attaching], timeout=0.3)
        await world.ask("ann", "1", "add", amount=1)
        world.pushes.clear()
        world.router.detach(actor)
        await asyncio.sleep(0.05)
        await world.ask("ann", "2", "add", amount=1)
        assert not world.pushes
        attaching.cancel()


async def test_a_failed_handover_leaves_no_shard_without_an_owner(monkeypatch: pytest.MonkeyPatch) -> None:
    async with World(Purse(placement=Packed(16))) as world:
        assign = world.membership.assign
        failures = [0]

        async def failing(epoch: int, owners: Any) -> Any:
            if failures[0] < 3 and len(world.hosts) > 1 and None not in owners.values():
                failures[0] += 1
                return None
            return await assign(epoch, owners)

        monkeypatch.setattr(world.membership, "assign", failing)
        desired = await world.membership.desired()
        await world.membership.set_desired(desired._replace(session_hosts=2))
        await asyncio.sleep(0.5)
        await world.membership.set_desired(desired)
        answers = await asyncio.gather(*(world.ask(f"p{n}", "1", "add", amount=1) for n in range(40)))
        assert {_gold(answer) for answer in answers} == {1}
        assert failures[0] == 3


async def test_a_host_that_does_not_release_holds_up_no_takeover() -> None:
    async with World(Purse(placement=Packed(16)), hosts=2) as world:
        await world.ask("ann", "1", "add", amount=1)

        async def never(shards: Any) -> None:
            await asyncio.Event().wait()

        world.hosts["session-host-0"].release = never  # type: ignore[method-assign]
        desired = await world.membership.desired()
        await world.membership.set_desired(desired._replace(session_hosts=3))
        await asyncio.sleep(0.3)
        await world.kill("session-host-1")
        # The release is given up after 10 s; the takeover must not have waited for that.
        async with asyncio.timeout(8):
            answers = await asyncio.gather(*(world.ask(f"p{n}", "1", "add", amount=1) for n in range(40)))
        assert {_gold(answer) for answer in answers} == {1}


async def test_hosts_that_could_not_renew_while_nobody_could_are_left_alone() -> None:
    async with World(Purse(), hosts=2) as world:
        await world.ask("ann", "1", "add", amount=1)
        incarnations = {host.incarnation for host in world.hosts.values()}

        async def away(*_: object) -> Any:
            raise JournalError("the database is away")

        real = {name: getattr(world.membership, name) for name in ("desired", "renew")}
        for name in real:
            setattr(world.membership, name, away)
        await asyncio.sleep(1.6)
        for name, method in real.items():
            setattr(world.membership, name, method)
        assert _gold(await world.ask("ann", "2", "add", amount=1)) == 2
        await asyncio.sleep(0.5)
        assert {host.incarnation for host in world.hosts.values()} == incarnations
        assert not [host for host in await world.membership.hosts() if host.fenced]


async def test_a_dedicated_host_ends_when_its_actor_sleeps_and_returns_on_demand() -> None:
    async with World(Purse(placement=Dedicated()), hosts=0, passivate_after_s=0.05) as world:
        assert _gold(await world.ask("ann", "1", "add", amount=1)) == 1
        async with asyncio.timeout(30):
            while world.hosts:
                await asyncio.sleep(0.02)
        assert not (await world.membership.shard_map()).owners
        assert _gold(await world.ask("ann", "2", "add", amount=1)) == 2


async def test_commits_are_counted_and_timed() -> None:
    async with World(Purse()) as world:
        await asyncio.gather(*(world.ask(f"p{number}", "1", "add", amount=1) for number in range(20)))
        statistics = [host.gate.statistics for host in world.hosts.values()]
        assert sum(one.turns for one in statistics) == 20
        for one in statistics:
            assert sum(one.seconds.counts) == sum(one.batch_turns.counts) == one.commits
            assert one.batch_turns.total == one.turns


async def test_rare_commands_leave_a_line_when_they_are_durable(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="runtime.host"):
        async with World(Purse(), logged_commands=frozenset({"add"})) as world:
            await world.ask("ann", "c1", "add", amount=5)
            await world.ask("ann", "c2", "read")
    [line] = [record for record in caplog.records if record.message == "turn committed"]
    assert (line.actor, line.command, line.command_id) == ("purse/ann", "add", "c1")  # type: ignore[attr-defined]


async def test_an_id_that_was_used_for_another_command_leaves_a_line(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with World(Purse()) as world:
        await world.ask("ann", "c1", "add", amount=5)
        await world.ask("ann", "c1", "add", amount=6)
    [line] = [record for record in caplog.records if record.name == "runtime.executor"]
    assert (line.levelname, line.command_id) == ("WARNING", "c1")  # type: ignore[attr-defined]
