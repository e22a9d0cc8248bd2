"""Chains of hashes whose rounds end where a test wants, put into a casino before it starts.

A salt is drawn again and again until it fits, so everything else about the rounds is genuine: the
table, the players and the verification cannot tell. Each chain is short, so that a salt is soon found.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from actors.games.crash import crash_point
from actors.games.hash_chain import HashChain, generate
from deploy.crash_chains import generate_chain, open_chains
from deploy.instance import Instance
from persistence.embedded.postgres import EmbeddedPostgres
from persistence.postgres.crash_chains import CrashChains
from persistence.postgres.migrate import migrate

SPARE_ROUNDS = 20_000
"""Of an ordinary chain behind the rigged ones, so that no table runs dry."""

Bounds = tuple[int, int]
"""The least and the greatest crash point that a round may have, in hundredths."""

SHORT: Bounds = (105, 116)
"""A round of 1 to 2.5 seconds."""


class Fate(NamedTuple):
    """What only the table may know of a round before it has ended. ``crash_point`` in hundredths."""

    round: int
    hash: bytes
    salt: str
    crash_point: int


async def rig(
    data: Path, tables: Mapping[str, Sequence[Sequence[Bounds]]], spare_rounds: int = SPARE_ROUNDS
) -> None:
    """Give each table its chains, in a database that nothing uses yet."""
    instance = Instance(data)
    instance.prepare()
    server = EmbeddedPostgres(instance.data)
    dsn = await asyncio.to_thread(server.start)
    try:
        await migrate(dsn)
        store = CrashChains(dsn)
        key = bytes.fromhex(instance.secret("crash-key"))
        for table, chains in tables.items():
            for rounds in chains:
                await _add(store, table, key, rounds)
            if spare_rounds:
                await generate_chain(store, table, key, spare_rounds)
                await store.publish(table, secrets.token_hex(32), "a test")
        await store.close()
    finally:
        await asyncio.to_thread(server.stop)


async def _add(store: CrashChains, table: str, key: bytes, rounds: Sequence[Bounds]) -> None:
    parts = generate(secrets.token_bytes(32), len(rounds), 1000)
    chain = HashChain(parts)
    hashes = [chain.hash_at(index) for index in range(1, len(rounds) + 1)]
    salt = secrets.token_hex(16)
    while not all(
        least <= crash_point(round_hash, salt) <= greatest
        for round_hash, (least, greatest) in zip(hashes, rounds, strict=True)
    ):
        salt = secrets.token_hex(16)
    await store.add(
        table,
        key,
        length=parts.length,
        checkpoint_interval=parts.checkpoint_interval,
        checkpoints=parts.checkpoints,
    )
    await store.publish(table, salt, "a test")


async def fates(data: Path, dsn: str, table: str, rounds: Sequence[int]) -> dict[int, Fate]:
    """The rounds as their table will play them, read as it reads them."""
    key = bytes.fromhex(Instance(data).secret("crash-key"))
    store = CrashChains(dsn)
    try:
        chains = await open_chains(store, table, key)
    finally:
        await store.close()
    found = {}
    for record, chain in chains:
        for number in rounds:
            if record.first_round <= number <= record.last_round:
                round_hash = chain.hash_at(number - record.first_round + 1)
                salt = record.salt or ""
                found[number] = Fate(number, round_hash, salt, crash_point(round_hash, salt))
    return found
