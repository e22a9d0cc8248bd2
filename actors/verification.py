"""Recompute an outcome from what the player was told. Offline: needs no server and no state."""

from __future__ import annotations

import re
from typing import NamedTuple

from actors.games.crash import HASH_BYTES, crash_point
from actors.games.fairness import SERVER_SEED_BYTES, commitment, draws
from actors.games.hash_chain import walk_down
from actors.games.slots import MACHINES, Outcome, spin


class SlotsProof(NamedTuple):
    server_seed_hash: str
    """Must be the hash that was published before the play."""
    outcome: Outcome
    """Must be what the machine showed."""


def verify_slots(
    server_seed: str, client_seed: str, nonce: int, machine: str = "classic", stake: int = 1
) -> SlotsProof:
    """Spin again. ``server_seed`` is the revealed seed in hex.

    Raises:
        ValueError: an argument could not have been part of a play; the message says which.
    """
    try:
        seed = bytes.fromhex(server_seed)
    except ValueError:
        raise ValueError("the server seed is not hexadecimal") from None
    if len(seed) != SERVER_SEED_BYTES:
        raise ValueError(f"the server seed has {len(seed)} bytes, not {SERVER_SEED_BYTES}")
    if not re.fullmatch(r"[A-Za-z0-9_.-]{1,64}", client_seed):
        raise ValueError("the client seed has letters, digits, '_', '.' and '-' only, 1 to 64 of them")
    if nonce < 0:
        raise ValueError("the nonce is 0 or more")
    if machine not in MACHINES:
        raise ValueError(f"there is no slot machine {machine!r}; there are: {', '.join(MACHINES)}")
    if stake < 1:
        raise ValueError("the stake is 1 or more")
    return SlotsProof(commitment(seed), spin(MACHINES[machine], stake, draws(seed, client_seed, nonce)))


class CrashProof(NamedTuple):
    crash_point: int
    """In hundredths. Must be where the round crashed."""
    previous_hash: str
    """In hex. Must be the hash of the round before; of a chain's first round, the terminating hash."""


def verify_crash(salt: str, round_hash: str) -> CrashProof:
    """Compute a round again. ``salt`` is the one published, ``round_hash`` the one revealed, both in hex.

    Raises:
        ValueError: an argument could not have been part of a round; the message says which.
    """
    if not re.fullmatch(r"[0-9a-f]{1,128}", salt):
        raise ValueError("the salt is lower-case hexadecimal, as published, of at most 128 digits")
    try:
        revealed = bytes.fromhex(round_hash)
    except ValueError:
        raise ValueError("the hash is not hexadecimal") from None
    if len(revealed) != HASH_BYTES:
        raise ValueError(f"the hash has {len(revealed)} bytes, not {HASH_BYTES}")
    return CrashProof(crash_point(revealed, salt), walk_down(revealed, 1).hex())
