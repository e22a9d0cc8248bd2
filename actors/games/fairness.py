"""Provably fair draws: a committed server seed, the player's seed, and a nonce.

Owns how seeds become random numbers, and nothing of any game. What is written here is the
contract that players verify their outcomes against: changing it breaks every past proof.

1. The house draws a server seed of 32 bytes and publishes ``SHA-256(server seed)``.
2. The player may choose the client seed after seeing that commitment.
3. Play number ``nonce`` under this server seed (0, 1, 2 …) takes its draws from
   ``HMAC-SHA256(key = server seed, message = "client_seed:nonce:cursor")`` with the cursor
   counting 0, 1, 2 …; each output is cut into eight big-endian 32-bit draws.
4. When the server seed is rotated the old one is revealed, and all of its plays can be checked.
"""

from __future__ import annotations

import hashlib
import hmac
import struct
from collections.abc import Iterator

SERVER_SEED_BYTES = 32
DRAW_RANGE = 2**32
"""A draw is an integer in ``range(DRAW_RANGE)``."""

_eight_draws = struct.Struct(">8I").unpack


def commitment(server_seed: bytes) -> str:
    """What is published before the first play: the seed's SHA-256, in hex."""
    return hashlib.sha256(server_seed).hexdigest()


def draws(server_seed: bytes, client_seed: str, nonce: int) -> Iterator[int]:
    """The endless, reproducible sequence of draws of one play.

    ``client_seed`` is ASCII without a colon, so that two messages never read the same.
    """
    prefix = f"{client_seed}:{nonce}:"
    cursor = 0
    while True:
        yield from _eight_draws(hmac.digest(server_seed, f"{prefix}{cursor}".encode("ascii"), "sha256"))
        cursor += 1


def below(source: Iterator[int], bound: int, draw_range: int = DRAW_RANGE) -> int:
    """A uniform integer in ``range(bound)``, made from as many draws as it takes.

    Draws from the incomplete last run of ``bound`` values are rejected: plain modulo would favour
    the small results. ``source`` yields integers in ``range(draw_range)``.

    Raises:
        ValueError: ``bound`` is not in 1 … ``draw_range``.
    """
    if not 1 <= bound <= draw_range:
        raise ValueError(f"no uniform choice among {bound} with draws below {draw_range}")
    unbiased = draw_range - draw_range % bound
    for draw in source:
        if draw < unbiased:
            return draw % bound
    raise ValueError("the source of draws ran dry")
