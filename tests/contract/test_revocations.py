"""The log of revocations on Postgres: where to begin, and what goes."""

from __future__ import annotations

import asyncio

import pytest

from persistence.postgres.account_stores import AccountStores
from persistence.postgres.revocations import POSITION
from tests.contract.people import HOUR_S, execute, fetch, value


@pytest.fixture(autouse=True)
async def guest(stores: AccountStores) -> None:
    await stores.accounts.create_guest("u_1")


async def revoke(stores: AccountStores, count: int) -> list[int]:
    """Their ids."""
    for _ in range(count):
        await stores.refresh_tokens.revoke_all("u_1")
    return [row.id for row in await stores.revocations.after(0, HOUR_S, 1000)][-count:]


async def test_a_reader_begins_before_what_is_recent_or_at_the_end(stores: AccountStores, dsn: str) -> None:
    assert await stores.revocations.position(HOUR_S) == 0
    old = await revoke(stores, 3)
    await execute(dsn, "UPDATE revocations SET created_at = created_at - interval '2 h'")
    assert await stores.revocations.position(HOUR_S) == old[-1], "the newest, and not the first"
    recent = await revoke(stores, 2)
    position = await stores.revocations.position(HOUR_S)
    assert [row.id for row in await stores.revocations.after(position, HOUR_S, 10)] == recent
    assert await stores.revocations.position(3 * HOUR_S) < old[0]


async def test_the_beginning_is_found_by_its_index(dsn: str) -> None:
    await execute(
        dsn,
        "INSERT INTO accounts (user_id, kind) VALUES ('u_2', 'guest');"
        "INSERT INTO revocations (user_id, not_before, because, created_at)"
        " SELECT 'u_2', now(), 'logout', now() - interval '1 day' FROM generate_series(1, 20000);"
        "ANALYZE revocations",
    )
    plan = "\n".join(line for (line,) in await fetch(dsn, f"EXPLAIN {POSITION.replace('$1', '3600')}"))
    assert "revocations_created" in plan
    assert "Seq Scan" not in plan


async def test_the_old_go_oldest_first_and_so_many_at_a_time(stores: AccountStores, dsn: str) -> None:
    ids = await revoke(stores, 6)
    await execute(
        dsn,
        "UPDATE revocations SET created_at = created_at - interval '2 h'"
        " WHERE id IN (SELECT id FROM revocations ORDER BY id LIMIT 5)",
    )
    assert await stores.revocations.forget(HOUR_S, 2) == 2
    assert await fetch(dsn, "SELECT id FROM revocations ORDER BY id") == [(each,) for each in ids[2:]]
    gone = await asyncio.gather(*(stores.revocations.forget(HOUR_S, 2) for _ in range(5)))
    assert sum(gone) == 3
    assert await stores.revocations.forget(HOUR_S, 2) == 0
    assert await fetch(dsn, "SELECT id FROM revocations") == [(ids[5],)]


async def test_who_has_read_everything_misses_nothing_when_the_old_go(
    stores: AccountStores, dsn: str
) -> None:
    ids = await revoke(stores, 2)
    await execute(dsn, "UPDATE revocations SET created_at = created_at - interval '2 h'")
    assert await stores.revocations.forget(HOUR_S, 10) == 2
    assert await stores.revocations.position(HOUR_S) == 0
    await stores.refresh_tokens.revoke_all("u_1")
    [row] = await stores.revocations.after(ids[-1], HOUR_S, 10)
    assert row.id > ids[-1]
    assert await value(dsn, "SELECT tokens_not_before > 'epoch' FROM accounts WHERE user_id = 'u_1'")
