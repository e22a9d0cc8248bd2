"""What every membership must do, on every implementation of the port."""

from __future__ import annotations

import asyncio

import pytest

from runtime.identity import ShardId
from runtime.journal import Desired, ShardMap
from tests.contract.storages import Storage

ONE, TWO = ShardId("session#1"), ShardId("session#2")


async def test_each_life_of_a_host_has_a_number_of_its_own(storage: Storage) -> None:
    first = await storage.membership.register("host", "unix:a", 10.0)
    second = await storage.membership.register("host", "unix:b", 10.0)
    assert second > first
    hosts = await storage.membership.hosts()
    assert [(h.incarnation, h.name, h.address, h.fenced) for h in hosts] == [
        (first, "host", "unix:a", False),
        (second, "host", "unix:b", False),
    ]
    assert all(9.0 < host.lease_remaining_s <= 10.0 for host in hosts)


async def test_a_lease_runs_out_and_is_renewed(storage: Storage) -> None:
    incarnation = await storage.membership.register("host", "unix:a", 0.05)
    await storage.pass_time(0.1)
    [host] = await storage.membership.hosts()
    assert host.lease_remaining_s < 0
    assert await storage.membership.renew(incarnation, 30.0)
    [host] = await storage.membership.hosts()
    assert 29.0 < host.lease_remaining_s <= 30.0


async def test_a_fenced_life_cannot_renew_and_is_forgotten(storage: Storage) -> None:
    incarnation = await storage.membership.register("host", "unix:a", 10.0)
    await storage.membership.fence(incarnation)
    await storage.membership.fence(incarnation)
    assert not await storage.membership.renew(incarnation, 10.0)
    assert await storage.membership.hosts() == []


async def test_an_unknown_life_cannot_renew(storage: Storage) -> None:
    assert not await storage.membership.renew(4711, 10.0)
    await storage.membership.fence(4711)


async def test_a_fenced_owner_is_listed_until_its_shards_are_taken(storage: Storage) -> None:
    membership = storage.membership
    old = await membership.register("old", "unix:old", 10.0)
    new = await membership.register("new", "unix:new", 10.0)
    await membership.assign(0, {ONE: old})
    await membership.fence(old)
    assert [(host.incarnation, host.fenced) for host in await membership.hosts()] == [
        (old, True),
        (new, False),
    ]
    assert (await membership.shard_map()).owners == {ONE: old}
    await membership.assign(1, {ONE: new})
    assert [host.incarnation for host in await membership.hosts()] == [new]


async def test_the_map_begins_empty_and_each_change_raises_its_epoch(storage: Storage) -> None:
    membership = storage.membership
    assert await membership.shard_map() == ShardMap(0, {}, {})
    one = await membership.register("one", "unix:one", 10.0)
    two = await membership.register("two", "unix:two", 10.0)
    assert await membership.assign(0, {ONE: one, TWO: two}) == ShardMap(
        1, {ONE: one, TWO: two}, {one: "unix:one", two: "unix:two"}
    )
    assert await membership.assign(1, {TWO: one}) == ShardMap(2, {ONE: one, TWO: one}, {one: "unix:one"})
    assert await membership.assign(2, {ONE: None, ShardId("never"): None}) == ShardMap(
        3, {TWO: one}, {one: "unix:one"}
    )
    assert await membership.assign(3, {TWO: None}) == ShardMap(4, {}, {})
    assert await membership.shard_map() == ShardMap(4, {}, {})


async def test_an_assignment_of_nothing_raises_the_epoch(storage: Storage) -> None:
    membership = storage.membership
    one = await membership.register("one", "unix:one", 10.0)
    await membership.assign(0, {ONE: one})
    assert await membership.assign(1, {}) == ShardMap(2, {ONE: one}, {one: "unix:one"})
    assert await membership.assign(1, {ONE: None}) is None


async def test_assign_refuses_an_epoch_that_has_moved(storage: Storage) -> None:
    membership = storage.membership
    one = await membership.register("one", "unix:one", 10.0)
    await membership.assign(0, {ONE: one})
    assert await membership.assign(0, {ONE: None}) is None
    assert await membership.assign(2, {ONE: None}) is None
    assert (await membership.shard_map()).owners == {ONE: one}


@pytest.mark.parametrize("known", [True, False])
async def test_assign_refuses_an_owner_that_may_not_write(storage: Storage, known: bool) -> None:
    membership = storage.membership
    good = await membership.register("good", "unix:good", 10.0)
    bad = await membership.register("bad", "unix:bad", 10.0) if known else 4711
    await membership.fence(bad)
    assert await membership.assign(0, {ONE: good, TWO: bad}) is None
    assert await membership.shard_map() == ShardMap(0, {}, {})


async def test_of_two_coordinators_one_wins(storage: Storage) -> None:
    membership = storage.membership
    one = await membership.register("one", "unix:one", 10.0)
    two = await membership.register("two", "unix:two", 10.0)
    results = await asyncio.gather(membership.assign(0, {ONE: one}), membership.assign(0, {ONE: two}))
    [won] = [result for result in results if result is not None]
    assert won == await membership.shard_map()
    assert won.epoch == 1


async def test_what_the_operator_asked_for_is_kept(storage: Storage) -> None:
    await storage.membership.set_desired(Desired(session_hosts=3, gateways=2))
    assert await storage.membership.desired() == Desired(session_hosts=3, gateways=2)
