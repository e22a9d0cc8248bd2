from collections.abc import AsyncIterator

import asyncpg
import msgspec
import pytest
import pytest_asyncio

from benchmarks.baselines.postgres import own_postgres
from benchmarks.baselines.row_lock_players import RowLockPlayers, create_schema, opened
from benchmarks.baselines.slot_machine import WELCOME_GOLD, Refused, Spun

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def dsn(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    async with own_postgres(tmp_path_factory.mktemp("rows")) as dsn:
        await create_schema(dsn)
        yield dsn


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def players(dsn: str) -> AsyncIterator[RowLockPlayers]:
    async with opened(dsn, 3) as players:
        yield players


async def test_a_spin_leaves_one_command_and_one_row_of_the_ledger(dsn: str, players: RowLockPlayers) -> None:
    player = await players.sign_up()
    replies = [await players.spin(player, command_id, 3) for command_id in ("1", "2", "1")]
    assert replies[0] == replies[2] != replies[1]
    connection = await asyncpg.connect(dsn)
    try:
        ledger = await connection.fetch("SELECT * FROM ledger WHERE player = $1 ORDER BY id", player)
        state = await connection.fetchrow("SELECT gold, nonce FROM players WHERE id = $1", player)
        commands = await connection.fetchval("SELECT count(*) FROM commands WHERE player = $1", player)
    finally:
        await connection.close()
    assert state is not None
    assert [row["command_id"] for row in ledger] == ["1", "2"]
    assert commands == state["nonce"] == 2
    assert state["gold"] == WELCOME_GOLD - 6 + sum(row["payout"] for row in ledger)
    assert ledger[-1]["gold_after"] == state["gold"]
    assert msgspec.msgpack.decode(replies[1], type=Spun).gold_balance == state["gold"]


async def test_a_spin_that_emptied_the_purse_is_answered_again(dsn: str, players: RowLockPlayers) -> None:
    player = await players.sign_up()
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute("UPDATE players SET gold = 5 WHERE id = $1", player)
        reply = await players.spin(player, "last", 5)
        await connection.execute("UPDATE players SET gold = 0 WHERE id = $1", player)
    finally:
        await connection.close()
    assert await players.spin(player, "last", 5) == reply
    with pytest.raises(Refused) as refusal:
        await players.spin(player, "one more", 5)
    assert refusal.value.code == "insufficient_funds"


async def test_a_player_that_never_was(players: RowLockPlayers) -> None:
    with pytest.raises(Refused):
        await players.spin(10**9, "1", 1)


async def test_it_takes_four_round_trips(dsn: str, players: RowLockPlayers) -> None:
    """As many as statements that Postgres was given by it."""
    player = await players.sign_up()
    await players.spin(player, "1", 1)
    asked: list[str] = []
    pool = players._pool
    async with pool.acquire() as one, pool.acquire() as two, pool.acquire() as three:
        for connection in (one, two, three):
            connection.add_query_logger(lambda record: asked.append(record.query.split()[0]))
    await players.spin(player, "2", 1)
    assert asked == ["BEGIN;", "SELECT", "WITH", "COMMIT;"]
