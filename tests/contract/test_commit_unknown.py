"""What a commit on Postgres comes to when the network, or the server, fails in the middle of it."""

from __future__ import annotations

import asyncio
import time

import asyncpg
import pytest

from persistence.postgres.connections import DatabaseUnavailable
from persistence.postgres.journal import PostgresJournal
from persistence.postgres.membership import PostgresMembership
from runtime.errors import CommitRefused, CommitUnknown, DuplicateTurn, Fenced, JournalError
from tests.contract.proxy import proxied
from tests.contract.storages import PostgresStorage
from tests.contract.turns import ANN, BEN, batch, stake, turn, welcome


@pytest.fixture
async def incarnation(postgres: PostgresStorage) -> int:
    return await postgres.membership.register("host", "unix:x", 60.0)


async def test_a_lost_answer_is_unknown_and_a_retry_finds_its_own_row(
    postgres: PostgresStorage, incarnation: int
) -> None:
    async with proxied(postgres.dsn) as (proxy, dsn):
        journal = PostgresJournal(dsn)
        await journal.commit(batch(incarnation, turn(ANN, 1, welcome("ann"))))
        proxy.drop_answers = True
        lost = batch(incarnation, turn(ANN, 2, stake("ann", 10)))
        with pytest.raises(CommitUnknown):
            await journal.commit(lost)
        assert proxy.answers_dropped.is_set()
        proxy.drop_answers = False
        with pytest.raises(DuplicateTurn):
            await journal.commit(lost)
        [row] = await journal.find([(ANN, "command-2")])
        assert (row.incarnation, row.seq) == (incarnation, 2)
        assert await postgres.balance("player:ann") == 990
        await journal.commit(batch(incarnation, turn(ANN, 3, stake("ann", 10))))
        await journal.close()


async def test_a_black_hole_is_unknown_after_the_timeout(postgres: PostgresStorage, incarnation: int) -> None:
    async with proxied(postgres.dsn) as (proxy, dsn):
        journal = PostgresJournal(dsn, commit_timeout_s=0.3, read_timeout_s=0.3)
        await journal.commit(batch(incarnation, turn(ANN, 1)))
        proxy.swallow = True
        began = time.monotonic()
        with pytest.raises(CommitUnknown):
            await journal.commit(batch(incarnation, turn(ANN, 2)))
        with pytest.raises(DatabaseUnavailable):
            await journal.find([(ANN, "command-2")])
        # The next attempt opens a connection of its own, which cannot get through either.
        with pytest.raises(CommitUnknown):
            await journal.commit(batch(incarnation, turn(ANN, 2)))
        assert 0.6 < time.monotonic() - began < 2.0
        proxy.swallow = False
        await journal.commit(batch(incarnation, turn(ANN, 2)))
        assert proxy.connections >= 3
        await journal.close()


async def test_a_renewal_gets_past_a_dead_connection(postgres: PostgresStorage, incarnation: int) -> None:
    async with proxied(postgres.dsn) as (proxy, dsn):
        membership = PostgresMembership(dsn, attempt_timeout_s=0.3)
        assert await membership.renew(incarnation, 3.0)
        proxy.swallow = True
        renewal = asyncio.create_task(membership.renew(incarnation, 3.0))
        await asyncio.sleep(0.1)
        proxy.swallow = False
        began = time.monotonic()
        assert await renewal
        assert time.monotonic() - began < 1.0
        await membership.close()


async def test_a_cancelled_caller_leaves_a_sound_connection(
    postgres: PostgresStorage, incarnation: int
) -> None:
    async with proxied(postgres.dsn) as (proxy, dsn):
        journal = PostgresJournal(dsn)
        await journal.commit(batch(incarnation, turn(ANN, 1)))
        for seq in range(2, 30):
            commit = asyncio.create_task(journal.commit(batch(incarnation, turn(ANN, seq))))
            await asyncio.sleep(0.0001 * seq)
            commit.cancel()
            await asyncio.wait({commit})
        # Everything that was begun went through, in order, on the one connection.
        await journal.commit(batch(incarnation, turn(ANN, 30)))
        assert await postgres.turns() == 30
        assert proxy.connections == 1
        await journal.close()


async def test_an_unreachable_server_is_unknown_to_commits_and_unavailable_to_reads() -> None:
    journal = PostgresJournal(
        "postgresql://nobody@/nowhere?host=/nonexistent", commit_timeout_s=0.2, read_timeout_s=0.2
    )
    with pytest.raises(CommitUnknown):
        await journal.commit(batch(1, turn(ANN, 1)))
    with pytest.raises(JournalError):
        await journal.load([ANN])
    await journal.close()


async def test_a_read_survives_the_loss_of_its_connection(
    postgres: PostgresStorage, incarnation: int
) -> None:
    journal = PostgresJournal(postgres.dsn, name="reader-under-test")
    await journal.commit(batch(incarnation, turn(ANN, 1)))
    assert len(await journal.find([(ANN, "command-1")])) == 1
    await postgres.value(
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
        " WHERE application_name = 'reader-under-test'"
    )
    assert len(await journal.find([(ANN, "command-1")])) == 1
    # The loss of an idle connection is noticed before anything is sent on it.
    await journal.commit(batch(incarnation, turn(ANN, 2)))
    await journal.close()


async def test_a_commit_that_waits_too_long_for_a_lock_is_given_up_by_the_server_too(
    postgres: PostgresStorage, incarnation: int
) -> None:
    journal = PostgresJournal(postgres.dsn, commit_timeout_s=0.3)
    await journal.commit(batch(incarnation, turn(ANN, 1, welcome("ann"))))
    blocker = await asyncpg.connect(postgres.dsn)
    async with blocker.transaction():
        await blocker.execute("SELECT 1 FROM balances WHERE account = 'player:ann' FOR UPDATE")
        with pytest.raises(CommitUnknown):
            await journal.commit(batch(incarnation, turn(ANN, 2, stake("ann", 1))))
        await asyncio.sleep(0.2)
        waiting = await blocker.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted")
        assert waiting == 0
    await blocker.close()
    assert await postgres.turns() == 1
    await journal.commit(batch(incarnation, turn(ANN, 2, stake("ann", 1))))
    await journal.close()


async def test_fence_waits_for_a_commit_in_flight_and_refuses_the_one_behind_it(
    postgres: PostgresStorage, incarnation: int
) -> None:
    """A stranger's lock holds the commit up in the middle, after its own check of the fence."""
    first, second = postgres.journal(), postgres.journal()
    await first.commit(batch(incarnation, turn(ANN, 1, welcome("ann"))))
    blocker = await asyncpg.connect(postgres.dsn)
    transaction = blocker.transaction()
    await transaction.start()
    await blocker.execute("SELECT 1 FROM balances WHERE account = 'player:ann' FOR UPDATE")
    in_flight = asyncio.create_task(first.commit(batch(incarnation, turn(ANN, 2, stake("ann", 1)))))
    await asyncio.sleep(0.1)
    # A renewal of the lease does not have to wait for it.
    assert await asyncio.wait_for(postgres.membership.renew(incarnation, 60.0), 1.0)
    fence = asyncio.create_task(postgres.membership.fence(incarnation))
    await asyncio.sleep(0.1)
    late = asyncio.create_task(second.commit(batch(incarnation, turn(BEN, 1))))
    await asyncio.sleep(0.1)
    assert not in_flight.done()
    assert not fence.done()
    await transaction.rollback()
    await in_flight
    await fence
    # Whoever came after the fence was either before it, and then visible by now, or refused.
    rows = await postgres.turns()
    try:
        await late
    except Fenced:
        assert rows == 2
    else:
        assert rows == 3
    assert await postgres.turns() == rows
    with pytest.raises(Fenced):
        await second.commit(batch(incarnation, turn(ANN, 3)))
    await blocker.close()


async def test_a_host_that_never_pauses_can_be_fenced(postgres: PostgresStorage, incarnation: int) -> None:
    journals = [postgres.journal() for _ in range(3)]

    async def write(number: int) -> int:
        seq = 0
        while True:
            seq += 1
            try:
                await journals[number].commit(batch(incarnation, turn(ANN, 1_000_000 * number + seq)))
            except DuplicateTurn:
                continue
            except Fenced:
                return seq

    writers = [asyncio.create_task(write(number)) for number in range(3)]
    await asyncio.sleep(0.2)
    began = time.monotonic()
    await postgres.membership.fence(incarnation)
    assert time.monotonic() - began < 2.0
    await asyncio.gather(*writers)


async def test_a_stopped_host_holds_no_lock(postgres: PostgresStorage, incarnation: int) -> None:
    """The answer to a commit is not read, as by a host under SIGSTOP. Others go on."""
    async with proxied(postgres.dsn) as (proxy, dsn):
        journal = PostgresJournal(dsn, commit_timeout_s=5.0)
        await journal.commit(batch(incarnation, turn(ANN, 1, welcome("ann"))))
        connection = await asyncpg.connect(postgres.dsn)
        proxy.drop_answers = True
        with pytest.raises(CommitUnknown):
            await journal.commit(batch(incarnation, turn(ANN, 2, stake("ann", 1))))
        await connection.execute("SET lock_timeout = '1s'")
        await connection.execute("SELECT 1 FROM balances WHERE account = 'player:ann' FOR UPDATE")
        assert (
            await connection.fetchval(
                "SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%'"
            )
            == 0
        )
        await connection.close()
        await journal.close()


@pytest.mark.parametrize("bad", ["nul \0 byte", "surrogate \ud800"])
async def test_text_that_postgres_cannot_hold_is_refused(
    postgres: PostgresStorage, incarnation: int, bad: str
) -> None:
    journal = postgres.journal()
    with pytest.raises(CommitRefused):
        await journal.commit(batch(incarnation, turn(ANN, 1, command_id=bad)))
    await journal.commit(batch(incarnation, turn(ANN, 1)))


async def test_assign_is_refused_while_its_owner_is_being_fenced(
    postgres: PostgresStorage, incarnation: int
) -> None:
    other = PostgresMembership(postgres.dsn)
    results = await asyncio.gather(
        postgres.membership.fence(incarnation),
        other.assign(0, {"session#1": incarnation}),  # type: ignore[dict-item]
    )
    shard_map = await other.shard_map()
    if results[1] is None:
        assert shard_map.owners == {}
    else:
        # Then the fence came second, and the coordinator sees it.
        assert [host.fenced for host in await other.hosts()] == [True]
    await other.close()
