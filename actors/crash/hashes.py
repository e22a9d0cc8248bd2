"""What a table asks of the hash chain that decides its rounds. Where chains are kept is not known here."""

from __future__ import annotations

from typing import NamedTuple, Protocol


class ChainExhausted(Exception):
    """The table has no hash for that round (yet)."""


class ChainFacts(NamedTuple):
    """What was published of a chain before its first round. Hashes and salt are hexadecimal."""

    terminating_hash: str
    salt: str
    salt_source: str
    first_round: int
    length: int
    """Rounds that the chain has hashes for."""


class RoundHashes(Protocol):
    """Only in processes that hold a table. Rounds are numbered from 1."""

    def hash_of(self, table: str, round_number: int) -> bytes:
        """The 32 bytes that decide a round. Secret until it has ended.

        Raises:
            ChainExhausted: there is none.
        """
        ...

    def salt_of(self, table: str, round_number: int) -> str:
        """The salt of that round's chain, as it was published.

        Raises:
            ChainExhausted: the round has no chain.
        """
        ...

    def public(self, table: str, round_number: int) -> ChainFacts:
        """The chain of that round, or the last one there is.

        Raises:
            ChainExhausted: the table has no chain at all.
        """
        ...
