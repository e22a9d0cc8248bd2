"""Recompute an outcome from what the player was told. Offline: needs no server and no state."""

from __future__ import annotations

import re
from typing import NamedTuple

from actors.games.fairness import SERVER_SEED_BYTES, commitment, draws
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
