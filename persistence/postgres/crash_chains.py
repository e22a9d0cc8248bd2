"""The hash chains of Crash tables: public records, and checkpoints masked with the house's key.

The database alone tells nobody a crash point: each checkpoint is XORed with a pad of its own,
``HMAC-SHA256(key, "<terminating hash>:<index>")``, and the key is never stored here. Knows how the
hashes of a chain hang together, so that it can tell a sound chain from a damaged one, and nothing
else of the game.
"""

from __future__ import annotations

import datetime
import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256

import asyncpg

from persistence.postgres.connections import Connections

KEY_BYTES = 32

_DOES_NOT_FOLLOW = "ZF002"
_UNIQUE_VIOLATION = "23505"
_SALT = re.compile(r"([0-9a-f]{2}){16,64}")
_RECORD = (
    "id, table_name, first_round, length, checkpoint_interval, terminating_hash,"
    " salt, salt_source, created_at, published_at"
)
_ADD = f"""
WITH chain AS (
    INSERT INTO crash_chains
        (table_name, first_round, length, checkpoint_interval, terminating_hash, seal,
         salt, salt_source, published_at)
    VALUES ($1, $2, $3, $4, $5, $6, $9, $10, CASE WHEN $9::text IS NOT NULL THEN now() END)
    RETURNING {_RECORD}
), checkpoints AS (
    INSERT INTO crash_chain_checkpoints (chain_id, index, masked)
    SELECT chain.id, c.index, c.masked FROM chain, unnest($7::bigint[], $8::bytea[]) AS c (index, masked)
)
SELECT * FROM chain
"""  # noqa: S608


class ChainError(RuntimeError):
    """What was asked of a chain cannot be done. The message is for the operator."""


class ChainUnreadable(ChainError):
    """The key does not open the chain, or its rows are not those that were written."""


class ChainMisplaced(ChainError):
    """The chain does not begin where the last one of its table ends."""


class SaltRefused(ChainError):
    """This salt cannot be, or nothing waits for one."""


@dataclass(frozen=True)
class ChainRecord:
    """What everybody may know of a chain."""

    id: int
    table: str
    first_round: int
    length: int
    checkpoint_interval: int
    terminating_hash: bytes
    """``h(0)``; round ``first_round`` uses ``h(1)``."""
    salt: str | None
    """Lower-case hex; ``None`` until it is published. No round is played before."""
    salt_source: str | None
    """Where the salt comes from, in words."""
    created_at: datetime.datetime
    published_at: datetime.datetime | None

    @property
    def last_round(self) -> int:
        return self.first_round + self.length - 1


@dataclass(frozen=True)
class OpenChain:
    """A chain that can be played. Not to be sent, logged or stored: it holds every crash point."""

    record: ChainRecord
    checkpoints: tuple[bytes, ...] = field(repr=False)
    """``h(0), h(k), h(2k), …, h(length)`` for ``k = record.checkpoint_interval``."""


def salt_of(text: str) -> str:
    """A salt as it is stored and hashed: lower-case hex of 16 to 64 bytes.

    Raises:
        SaltRefused: it is not hex, or too short or long.
    """
    salt = text.strip().lower()
    if not _SALT.fullmatch(salt):
        raise SaltRefused(
            "the salt has to be 16 to 64 bytes in hexadecimal characters, such as the hash of a Bitcoin block"
        )
    return salt


def masked(key: bytes, terminating_hash: bytes, index: int, checkpoint: bytes) -> bytes:
    """A checkpoint as it is stored; applied again, the checkpoint itself. The pad is used once: no
    other checkpoint of any chain has this message."""
    pad = hmac.digest(key, f"{terminating_hash.hex()}:{index}".encode(), "sha256")
    return bytes(a ^ b for a, b in zip(checkpoint, pad, strict=True))


class CrashChains:
    """Each call is one or two statements, repeated while the database is unreachable;
    ``DatabaseUnavailable`` (a ``JournalError``) when it stays so."""

    def __init__(self, dsn: str, *, timeout_s: float = 10.0, name: str = "casino-crash-chains") -> None:
        self._connections = Connections(dsn, connections_max=1, timeout_s=timeout_s, name=name)

    async def close(self) -> None:
        await self._connections.close()

    async def add(
        self,
        table: str,
        key: bytes,
        *,
        length: int,
        checkpoint_interval: int,
        checkpoints: Sequence[bytes],
        first_round: int | None = None,
        salt: str | None = None,
        salt_source: str | None = None,
    ) -> ChainRecord:
        """Store a chain behind the last one of its table, unpublished unless its salt is given.
        ``checkpoints`` are ``h(0), h(k), h(2k), …, h(length)``; ``first_round`` is only a check.

        Raises:
            ChainMisplaced: it does not begin where the last one ends, or is there already.
        """
        if first_round is None:
            first_round = await self._next_round(table)
        terminating_hash = checkpoints[0]
        indexed = list(zip(_indexes(length, checkpoint_interval), checkpoints, strict=True))
        try:
            rows = await self._fetch(
                _ADD,
                table,
                first_round,
                length,
                checkpoint_interval,
                terminating_hash,
                _seal(key, table, first_round, length, checkpoint_interval, indexed),
                [index for index, _ in indexed],
                [masked(key, terminating_hash, index, checkpoint) for index, checkpoint in indexed],
                salt,
                salt_source,
            )
        except asyncpg.PostgresError as error:
            if error.sqlstate not in (_DOES_NOT_FOLLOW, _UNIQUE_VIOLATION):
                raise
            # It may be there because an answer was lost, and this was the second attempt.
            for record in await self.public(table):
                if (record.terminating_hash, record.first_round) == (terminating_hash, first_round):
                    return record
            raise ChainMisplaced(f"the chain cannot be added to those of table {table}: {error}") from error
        return ChainRecord(*rows[0])

    async def publish(self, table: str, salt: str, source: str) -> ChainRecord:
        """Fix the salt of the oldest chain of the table that has none, once and for ever.

        Raises:
            SaltRefused: no chain waits for a salt, or this one was known before the chain was made.
        """
        salt = salt_of(salt)
        chains = await self.public(table)
        waiting = next((chain for chain in chains if chain.salt is None), None)
        if waiting is None:
            if not chains:
                raise SaltRefused(f"table {table} has no chain: make one with 'casino crash-chain generate'")
            raise SaltRefused(
                f"the salt of table {table} is fixed since {chains[-1].published_at:%Y-%m-%d %H:%M} UTC"
                f" and cannot be changed: {chains[-1].salt}"
            )
        # A house that knows the salt when it makes a chain can make many, and choose.
        known = await self._fetch(
            "SELECT table_name FROM crash_chains WHERE salt = $1 AND published_at < $2",
            salt,
            waiting.created_at,
        )
        if known:
            raise SaltRefused(
                f"this salt was published for table {known[0]['table_name']} before this chain was made:"
                " everybody has to see that the house could not choose the chain to go with it"
            )
        await self._fetch(
            "UPDATE crash_chains SET salt = $2, salt_source = $3, published_at = now()"
            " WHERE id = $1 AND salt IS NULL",
            waiting.id,
            salt,
            source,
        )
        record = next(chain for chain in await self.public(table) if chain.id == waiting.id)
        if record.salt != salt:
            raise SaltRefused(f"somebody else has just published another salt: {record.salt}")
        return record

    async def public(self, table: str | None = None) -> list[ChainRecord]:
        """The chains of a table, or of all tables, in the order of their rounds."""
        rows = await self._fetch(
            f"SELECT {_RECORD} FROM crash_chains WHERE $1::text IS NULL OR table_name = $1"  # noqa: S608
            " ORDER BY table_name, first_round",
            table,
        )
        return [ChainRecord(*row) for row in rows]

    async def open_chains(self, table: str, key: bytes, *, unpublished: bool = False) -> list[OpenChain]:
        """The chains of a table that can be played: those that are published. ``unpublished`` opens
        the others as well, to see whether the key fits.

        Raises:
            ChainUnreadable: the key is another one, or the rows have been changed.
        """
        return [
            await self._open(record, key)
            for record in await self.public(table)
            if unpublished or record.salt is not None
        ]

    async def rounds_played(self, table: str) -> int:
        """Number of the last round of a table that has ended; 0 if none has. The turn that ends round n
        has the id of its alarm: ``n``, and the phase that it ends."""
        rows = await self._fetch(
            "SELECT command_id FROM journal WHERE actor = $1 AND command_id LIKE $2"
            " ORDER BY seq DESC LIMIT 1",
            f"crash/{table}",
            "\x01alarm/%/running",
        )
        return int(rows[0]["command_id"].split("/")[1]) if rows else 0

    async def unsettled(self) -> dict[str, str]:
        """Tables with gold in an escrow, or with words to or from them that have not arrived, and which."""
        rows = await self._fetch(
            "SELECT split_part(account, ':', 3) AS name, format('%s gold in %s', balance, account) AS what"
            " FROM balances WHERE account ^@ 'escrow:crash:' AND balance > 0"
            " UNION ALL"
            " SELECT split_part(split_part(command_id, ':', 1), '/', 2), 'sends on their way'"
            " FROM outbox WHERE sender ^@ 'crash/' AND refusal IS NULL"
            " UNION ALL"
            " SELECT split_part(recipient, '/', 2), 'questions of players'"
            " FROM outbox WHERE recipient ^@ 'crash/' AND refusal IS NULL"
        )
        return {row["name"]: row["what"] for row in rows}

    async def _open(self, record: ChainRecord, key: bytes) -> OpenChain:
        rows = await self._fetch(
            "SELECT c.index, c.masked, h.seal FROM crash_chains h"
            " JOIN crash_chain_checkpoints c ON c.chain_id = h.id WHERE h.id = $1 ORDER BY c.index",
            record.id,
        )
        indexed = [
            (row["index"], masked(key, record.terminating_hash, row["index"], row["masked"])) for row in rows
        ]
        name = f"the chain of table {record.table} that begins with round {record.first_round}"
        if not indexed or indexed[0] != (0, record.terminating_hash):
            raise ChainUnreadable(
                f"{name} cannot be read with this key: it was made with another one (CASINO_CRASH_KEY, or"
                " the file secrets/crash-key in the data directory), or its rows are damaged"
            )
        seal = _seal(
            key, record.table, record.first_round, record.length, record.checkpoint_interval, indexed
        )
        if not hmac.compare_digest(seal, rows[0]["seal"]):
            raise ChainUnreadable(f"{name} has been changed since it was made: restore it from a backup")
        # The seal says that it is what was written; these, that what was written is a chain.
        for (low, below), (high, above) in (indexed[:2], indexed[-2:]):
            for _ in range(high - low):
                above = sha256(above).digest()  # noqa: PLW2901
            if above != below:
                raise ChainUnreadable(f"{name} is none: hash {high} does not lead to hash {low}")
        return OpenChain(record, tuple(checkpoint for _, checkpoint in indexed))

    async def _next_round(self, table: str) -> int:
        chains = await self.public(table)
        return chains[-1].last_round + 1 if chains else 1

    async def _fetch(self, query: str, *arguments: object) -> list[asyncpg.Record]:
        return await self._connections.retried(lambda connection: connection.fetch(query, *arguments))


def _indexes(length: int, checkpoint_interval: int) -> list[int]:
    return [*range(0, length, checkpoint_interval), length]


def _seal(
    key: bytes,
    table: str,
    first_round: int,
    length: int,
    checkpoint_interval: int,
    indexed: Sequence[tuple[int, bytes]],
) -> bytes:
    """Over all that decides which round gets which hash: one stretch that somebody has moved would
    only be noticed by players, when it is too late."""
    message = f"seal:{table}:{first_round}:{length}:{checkpoint_interval}"
    message += "".join(f":{index}={checkpoint.hex()}" for index, checkpoint in indexed)
    return hmac.digest(key, message.encode(), "sha256")
