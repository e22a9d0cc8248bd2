"""What a Crash table has committed itself to, and whether its rounds are what it had fixed.

Owns the bookkeeping of a chain of hashes from round to round; the mathematics of one round is in
``verification``. Pure but for :func:`fetch_crash_fairness`.
"""

from __future__ import annotations

import httpx
import msgspec

from clients.errors import ConnectionLost, ProtocolViolation, UnfairRound
from clients.verification import verify_crash_round, walk_crash_chain

FAIRNESS_PATH = "/api/games/crash/fairness"


class CrashFairness(msgspec.Struct, frozen=True):
    """The published half of the chain in use: it has hashes for the rounds ``first_round`` to
    ``first_round + length - 1``. ``round`` is the latest that was opened, 0 if none was, and
    ``previous_hash`` that of the round before it."""

    table: str
    terminating_hash: str
    salt: str
    first_round: int
    length: int
    round: int
    previous_hash: str
    salt_source: str = ""
    rounds_left: int | None = None


async def fetch_crash_fairness(
    http_url: str, table: str, client: httpx.AsyncClient | None = None
) -> CrashFairness:
    """Ask for what was published.

    Raises:
        ConnectionLost: the server cannot be reached or cannot answer now; worth another try.
        ProtocolViolation: there is no such table, or the answer is not what the protocol says.
    """
    if client is None:
        async with httpx.AsyncClient(timeout=10.0) as own:
            return await fetch_crash_fairness(http_url, table, own)
    try:
        response = await client.get(f"{http_url}{FAIRNESS_PATH}", params={"table": table})
    except httpx.TransportError as error:
        raise ConnectionLost(f"fairness of table {table!r}: {error!r}") from error
    if response.status_code == 429 or response.status_code >= 500:
        raise ConnectionLost(f"fairness of table {table!r}: HTTP {response.status_code}")
    if response.status_code != 200:
        raise ProtocolViolation(
            f"fairness of table {table!r}: HTTP {response.status_code}: {response.text[:200]}"
        )
    try:
        return msgspec.json.decode(response.content, type=CrashFairness)
    except msgspec.DecodeError as error:
        raise ProtocolViolation(f"fairness of table {table!r}: {error}") from None


class RoundChecker:
    """Checks the rounds of one chain, in any order and with any of them missed.

    It remembers the latest hash that is proved to belong to the chain, at first the terminating hash:
    the hash of a later round must lead down to it in as many steps as there are rounds between, and
    to that of an earlier round it must lead itself.
    """

    def __init__(self, fairness: CrashFairness) -> None:
        """
        Raises:
            ProtocolViolation: what was published is no chain and no salt.
        """
        self.fairness = fairness
        self._round = fairness.first_round - 1
        self._hash = fairness.terminating_hash
        try:
            verify_crash_round(self._hash, fairness.salt)
        except ValueError as error:
            raise ProtocolViolation(f"fairness of table {fairness.table!r}: {error}") from None

    @property
    def proved_round(self) -> int:
        """The latest round whose hash is known to belong to the chain."""
        return self._round

    def covers(self, round: int) -> bool:
        """Whether the chain has a hash for this round; if not, it is another chain's."""
        first = self.fairness.first_round
        return first <= round < first + self.fairness.length

    def check_published(self) -> None:
        """Prove that the latest hash published leads down to the terminating hash, and go on from it.

        It takes a step for each round played: half a second for a million.

        Raises:
            UnfairRound: it does not.
        """
        fairness = self.fairness
        played = fairness.round - fairness.first_round
        if played < 0:
            return
        try:
            reached = walk_crash_chain(fairness.previous_hash, played)
        except ValueError as error:
            raise self._unfair(fairness.round, str(error)) from None
        if reached != fairness.terminating_hash:
            raise self._unfair(
                fairness.round,
                f"the hash {fairness.previous_hash} published before it does not lead to the terminating "
                f"hash {fairness.terminating_hash}",
            )
        self._round = fairness.first_round - 1 + played
        self._hash = fairness.previous_hash

    def check(self, round: int, round_hash: str, crash_point: float) -> None:
        """Prove a finished round. It must be one that the chain :meth:`covers`.

        Raises:
            UnfairRound: its hash is not of the chain, or its crash point is not of its hash.
        """
        try:
            expected = verify_crash_round(round_hash, self.fairness.salt)
            if round >= self._round:
                is_linked = walk_crash_chain(round_hash, round - self._round) == self._hash
            else:
                is_linked = walk_crash_chain(self._hash, self._round - round) == round_hash
        except ValueError as error:
            raise self._unfair(round, str(error)) from None
        if not is_linked:
            raise self._unfair(
                round,
                f"its hash {round_hash} and that of round {self._round}, {self._hash}, are not of one chain",
            )
        if round > self._round:
            self._round, self._hash = round, round_hash
        if crash_point != expected:
            raise self._unfair(
                round,
                f"it crashed at {crash_point:.2f}, and its hash {round_hash} with the salt "
                f"{self.fairness.salt} gives {expected:.2f}",
            )

    def _unfair(self, round: int, problem: str) -> UnfairRound:
        return UnfairRound(self.fairness.table, round, problem)
