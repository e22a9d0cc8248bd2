"""Makes, checks and opens the hash chains of Crash tables: brings together the mathematics of a chain,
the place where it is stored, and the key that reads it."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from dataclasses import dataclass

from actors.games.hash_chain import ChainParts, HashChain
from actors.games.hash_chain import generate as make_chain
from deploy.instance import Instance
from deploy.settings import Settings
from persistence.postgres.crash_chains import KEY_BYTES, ChainError, ChainRecord, CrashChains

CHAIN_ROUNDS = 1_000_000
CHECKPOINT_INTERVAL = 1000
ROUNDS_LEFT_MIN = 10_000
"""With fewer the operator is warned. A round takes some 25 seconds, so these last almost three days."""
OWN_SALT_SOURCE = "random, drawn by this server"

Report = Callable[[str], None]


def crash_key(settings: Settings, instance: Instance) -> bytes:
    """The key that masks the chains; made when it is first asked for.

    Raises:
        ChainError: what is configured is no key.
    """
    given = settings.crash_key
    try:
        key = bytes.fromhex(given.get_secret_value() if given else instance.secret("crash-key"))
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        place = "CASINO_CRASH_KEY" if given else str(instance.data / "secrets" / "crash-key")
        raise ChainError(f"{place} is no key: it has to be {2 * KEY_BYTES} hexadecimal characters")
    return key


@dataclass(frozen=True)
class TableChains:
    """How far a table is through its chains."""

    table: str
    chains: list[ChainRecord]
    rounds_played: int

    @property
    def rounds_left(self) -> int:
        """Rounds that can be played, or played to their end: of chains with a salt."""
        last = max((chain.last_round for chain in self.chains if chain.salt is not None), default=0)
        return max(0, last - self.rounds_played)

    @property
    def waiting(self) -> ChainRecord | None:
        """The chain whose salt is to be published next."""
        return next((chain for chain in self.chains if chain.salt is None), None)


async def chains_of(store: CrashChains, table: str) -> TableChains:
    return TableChains(table, await store.public(table), await store.rounds_played(table))


async def generate_chain(
    store: CrashChains,
    table: str,
    key: bytes,
    length: int = CHAIN_ROUNDS,
    progress: Callable[[int], None] | None = None,
    *,
    own_salt: bool = False,
) -> ChainRecord:
    """Make a chain behind the last one of its table, unpublished, or with a salt that is drawn here.
    ``progress`` is called in another thread, with the number of hashes made.

    Raises:
        ChainUnreadable: the key does not open the chains that the table has.
        ChainMisplaced: somebody else has made one at the same time.
    """
    await store.open_chains(table, key, unpublished=True)
    parts = await asyncio.to_thread(
        make_chain, secrets.token_bytes(32), length, CHECKPOINT_INTERVAL, progress
    )
    return await store.add(
        table,
        key,
        length=parts.length,
        checkpoint_interval=parts.checkpoint_interval,
        checkpoints=parts.checkpoints,
        salt=secrets.token_hex(32) if own_salt else None,
        salt_source=OWN_SALT_SOURCE if own_salt else None,
    )


async def open_chains(store: CrashChains, table: str, key: bytes) -> list[tuple[ChainRecord, HashChain]]:
    """What the process of a table plays from, in the order of rounds. Only published chains.

    Raises:
        ChainUnreadable: the key is another one, or the rows have been changed.
    """
    return [
        (
            chain.record,
            HashChain(ChainParts(chain.record.length, chain.record.checkpoint_interval, chain.checkpoints)),
        )
        for chain in await store.open_chains(table, key)
    ]


async def prepare_tables(
    settings: Settings, instance: Instance, dsn: str, report: Report, notice: Report
) -> None:
    """See that each configured table has rounds to play, before anything is started. ``report`` is told
    what is being done, ``notice`` what the operator should know.

    Raises:
        ChainError: a table cannot play. The message says what to type.
    """
    store = CrashChains(dsn)
    try:
        names = {table.name for table in settings.crash_tables}
        for name, what in (await store.unsettled()).items():
            if name not in names:
                entry = f'{{"name": "{name}", "closing": true}}'
                raise ChainError(
                    f"Crash table {name} is not configured, but not settled either ({what}): start once more "
                    f"with {entry} in CASINO_CRASH_TABLES, until 'casino audit' shows no gold in escrow"
                )
        if not settings.crash_tables:
            return
        key = crash_key(settings, instance)
        for table in settings.crash_tables:
            await _prepare(store, table.name, key, settings.crash_chain == "auto", report, notice)
    finally:
        await store.close()


async def _prepare(
    store: CrashChains, table: str, key: bytes, may_generate: bool, report: Report, notice: Report
) -> None:
    await store.open_chains(table, key, unpublished=True)
    found = await chains_of(store, table)
    if found.rounds_left == 0:
        if found.waiting is not None:
            raise ChainError(
                f"the hash chain of Crash table {table} has no salt yet: "
                f"'casino crash-chain publish --table {table}' says how to choose one"
            )
        if not may_generate:
            raise ChainError(
                f"Crash table {table} has no hash chain to play from: make one with "
                f"'casino crash-chain generate --table {table}', then publish its salt with "
                f"'casino crash-chain publish --table {table}'"
            )
        report(f"generating the hash chain of Crash table {table} (once)")
        await generate_chain(store, table, key, own_salt=True)
        notice(
            f"Crash table {table} has a new hash chain, with a salt that this server drew by itself. Real "
            "players should get one that nobody could choose: see 'Crash' in docs/operations.md"
        )
    elif found.rounds_left < ROUNDS_LEFT_MIN:
        if found.waiting is not None:
            advice = f"publish the salt of the next chain: 'casino crash-chain publish --table {table}'"
        else:
            advice = f"make the next chain: 'casino crash-chain generate --table {table}'"
        notice(f"Crash table {table} has only {found.rounds_left:,} rounds left; {advice}")
