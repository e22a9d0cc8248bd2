"""The hashes of one Crash table, in the one process that may have them: the table's own."""

from __future__ import annotations

import asyncio
import logging
import os
from pathlib import Path

from actors.crash.hashes import ChainExhausted, ChainFacts
from actors.games.hash_chain import HashChain
from deploy.crash_chains import ROUNDS_LEFT_MIN, open_chains
from persistence.postgres.crash_chains import ChainError, ChainRecord, CrashChains
from runtime.errors import JournalError

_log = logging.getLogger(__name__)

REFRESH_S = 30.0
"""How often a table looks for a chain that has been published since."""


class NoChain(ChainError):
    """A table without a published chain does not start."""


def key_in(file: str) -> bytes:
    """The key of the chains: of this process's environment, or in a file that only the server reads.

    Raises:
        ChainError: there is none.
    """
    try:
        return bytes.fromhex(os.environ.get("CASINO_CRASH_KEY") or Path(file).read_text())
    except (OSError, ValueError) as error:
        raise ChainError(f"{file} has no key for the chains of Crash: {error}") from None


class TableHashes:
    """See ``actors.crash.hashes.RoundHashes``. Look-ups never wait: the checkpoints are in memory."""

    def __init__(self, store: CrashChains, table: str, key: bytes) -> None:
        self._store = store
        self._table = table
        self._key = key
        self._chains: list[tuple[ChainRecord, HashChain]] = []
        self._latest_round = 0
        self._is_warned = False

    def __repr__(self) -> str:
        return f"TableHashes({self._table})"

    async def load(self) -> None:
        """Raises:
        NoChain: the table has no published chain.
        ChainUnreadable: the key does not open it.
        """
        self._chains = await open_chains(self._store, self._table, self._key)
        if not self._chains:
            raise NoChain(
                f"table {self._table} has no published chain: see 'casino crash-chain generate' and 'publish'"
            )

    def start(self) -> None:
        """From now on take up chains as they are published, and say in time when few rounds are left."""
        self._fresh = asyncio.get_running_loop().create_task(self._keep_fresh())

    async def _keep_fresh(self) -> None:
        while True:
            await asyncio.sleep(REFRESH_S)
            left = self._chains[-1][0].last_round - self._latest_round
            if left >= ROUNDS_LEFT_MIN:
                continue
            if not self._is_warned:
                self._is_warned = True
                _log.warning("few rounds left in the chain", extra={"table": self._table, "rounds": left})
            try:
                await self.load()
            except (ChainError, JournalError) as error:
                _log.warning("chains not read", extra={"table": self._table, "reason": str(error)})

    def hash_of(self, table: str, round_number: int) -> bytes:
        record, chain = self._of(table, round_number)
        self._latest_round = max(self._latest_round, round_number)
        return chain.hash_at(round_number - record.first_round + 1)

    def salt_of(self, table: str, round_number: int) -> str:
        return self._of(table, round_number)[0].salt or ""

    def public(self, table: str, round_number: int) -> ChainFacts:
        try:
            record, _ = self._of(table, round_number)
        except ChainExhausted:
            if table != self._table or not self._chains:
                raise
            record, _ = self._chains[-1]
        return ChainFacts(
            record.terminating_hash.hex(),
            record.salt or "",
            record.salt_source or "",
            record.first_round,
            record.length,
        )

    def _of(self, table: str, round_number: int) -> tuple[ChainRecord, HashChain]:
        if table == self._table:
            for record, chain in self._chains:
                if record.first_round <= round_number <= record.last_round:
                    return record, chain
        raise ChainExhausted(f"table {table} has no hash for round {round_number}")
