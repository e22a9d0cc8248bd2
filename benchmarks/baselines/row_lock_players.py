"""Players as rows: every spin is a transaction that locks the player's.

Owns the SQL of ``rowlock``, and its round trips.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import msgspec

from benchmarks.baselines.slot_machine import WELCOME_GOLD, Player, Refused, spin, streak_after

SCHEMA = """
    -- Room in every page for the next version of a row: an update need not touch the index.
    CREATE TABLE players (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        gold bigint NOT NULL CHECK (gold >= 0),
        streak integer NOT NULL DEFAULT 0,
        nonce bigint NOT NULL DEFAULT 0,
        server_seed bytea NOT NULL,
        client_seed text NOT NULL
    ) WITH (fillfactor = 50);
    -- No foreign keys: each would lock the player's row once more.
    CREATE TABLE commands (
        player bigint NOT NULL,
        id text NOT NULL,
        reply bytea NOT NULL,
        PRIMARY KEY (player, id)
    );
    CREATE TABLE ledger (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        player bigint NOT NULL,
        command_id text NOT NULL,
        stake bigint NOT NULL,
        payout bigint NOT NULL,
        gold_after bigint NOT NULL
    );
"""

SIGN_UP = "INSERT INTO players (gold, server_seed, client_seed) VALUES ($1, $2, $3) RETURNING id"
READ = "SELECT gold, streak, nonce, server_seed, client_seed FROM players WHERE id = $1"
LOCK = f"{READ} FOR UPDATE"
# All that is written, in one round trip.
WRITE = """
    WITH remembered AS (
        INSERT INTO commands (player, id, reply) VALUES ($1, $2, $3)
    ), booked AS (
        INSERT INTO ledger (player, command_id, stake, payout, gold_after) VALUES ($1, $2, $4, $5, $6)
    )
    UPDATE players SET gold = $6, streak = $7, nonce = nonce + 1 WHERE id = $1
"""
REPLY = "SELECT reply FROM commands WHERE player = $1 AND id = $2"

_encode = msgspec.msgpack.Encoder().encode


class RowLockPlayers:
    """See ``fastapi_gateway.Players``."""

    def __init__(self, pool: asyncpg.Pool[asyncpg.Record]) -> None:
        self._pool = pool

    async def sign_up(self) -> int:
        return int(await self._pool.fetchval(SIGN_UP, *new_player()))

    async def enter(self, player: int) -> None:
        """A row needs no preparation."""

    async def leave(self, player: int) -> None:
        """Nor does it end."""

    async def spin(self, player: int, command_id: str, stake: int) -> bytes:
        try:
            return await self._spin(player, command_id, stake)
        except asyncpg.UniqueViolationError:
            # Whoever held the lock before us had this id. Asked for only now: to look before every spin
            # would cost all of them what few need.
            return bytes(await self._pool.fetchval(REPLY, player, command_id))

    async def _spin(self, player: int, command_id: str, stake: int) -> bytes:
        """Four round trips: begin, lock and read, write, commit."""
        async with self._pool.acquire() as connection, connection.transaction():
            row = await connection.fetchrow(LOCK, player)
            if row is None:
                raise Refused("not_authenticated", "There is no such player.")
            state = Player(*row)
            try:
                spun = spin(state, stake)
            except Refused:
                # The gold that is missing now may have been there the first time.
                reply = await connection.fetchval(REPLY, player, command_id)
                if reply is not None:
                    return bytes(reply)
                raise
            reply = _encode(spun)
            await connection.execute(
                WRITE, player, command_id, reply, stake, spun.payout, spun.gold_balance,
                streak_after(state, spun),
            )  # fmt: skip
            return reply


def new_player() -> tuple[int, bytes, str]:
    """The arguments of ``SIGN_UP``."""
    return WELCOME_GOLD, secrets.token_bytes(32), secrets.token_hex(8)


async def _keep(connection: object) -> None:
    """A connection that goes back to the pool stays as it is: nobody changes its settings, and asyncpg's
    own reset would be a fifth round trip."""


@asynccontextmanager
async def opened(dsn: str, connections: int) -> AsyncIterator[RowLockPlayers]:
    """All connections are opened at once, and stay; statements are prepared once on each."""
    pool = await asyncpg.create_pool(
        dsn, min_size=connections, max_size=connections, max_inactive_connection_lifetime=0, reset=_keep
    )
    async with pool:
        yield RowLockPlayers(pool)


async def create_schema(dsn: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(SCHEMA)
    finally:
        await connection.close()
