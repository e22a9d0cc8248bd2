"""A table of Crash that plays a small chain honestly, and says what it is asked to say. For tests."""

from __future__ import annotations

import hashlib
from typing import Any

from actors.games.crash import as_float, crash_point
from clients.crash_fairness import CrashFairness

SALT = hashlib.sha256(b"salt").hexdigest()


class CrashHouse:
    """Rounds ``first_round`` … of one chain, made anew from its seed."""

    def __init__(self, length: int = 20, first_round: int = 1, seed: bytes = b"seed") -> None:
        self.length = length
        self.first_round = first_round
        hashes = [hashlib.sha256(seed).digest()]
        while len(hashes) <= length:
            hashes.append(hashlib.sha256(hashes[-1]).digest())
        self._hashes = hashes[::-1]

    def hash(self, round: int) -> str:
        return self._hashes[round - self.first_round + 1].hex()

    def crash_point(self, round: int) -> float:
        return as_float(crash_point(bytes.fromhex(self.hash(round)), SALT))

    def fairness(self, round: int, **changes: Any) -> CrashFairness:
        """As published while ``round`` is the latest opened."""
        published = {
            "table": "main",
            "terminating_hash": self._hashes[0].hex(),
            "salt": SALT,
            "first_round": self.first_round,
            "length": self.length,
            "round": round,
            "previous_hash": self.hash(round - 1) if round >= self.first_round else "",
            **changes,
        }
        return CrashFairness(**published)

    def finished(self, round: int, **changes: Any) -> dict[str, Any]:
        return {
            "round": round,
            "hash": self.hash(round),
            "crash_point": self.crash_point(round),
            "ended": "crashed",
            "multiplier": self.crash_point(round),
            "at_ms": 1,
            "bets": 0,
            "staked": 0,
            "paid": 0,
            **changes,
        }

    def crashed(self, round: int, **changes: Any) -> dict[str, Any]:
        return {
            "table": "main",
            "round": round,
            "crash_point": self.crash_point(round),
            "hash": self.hash(round),
            "previous_hash": self.hash(round - 1),
            "ended": "crashed",
            "multiplier": self.crash_point(round),
            "players": 2,
            "staked": 30,
            "paid": 12,
            **changes,
        }

    def state(self, round: int, phase: str = "betting", **changes: Any) -> dict[str, Any]:
        return {
            "table": "main",
            "round": round,
            "phase": phase,
            "betting_ends_ms": 5_000,
            "started_ms": None,
            "next_round_ms": None,
            "players": 0,
            "staked": 0,
            "bets": [],
            "history": [],
            "previous_hash": self.hash(round - 1),
            "stake_min": 1,
            "stake_max": 100,
            **changes,
        }
