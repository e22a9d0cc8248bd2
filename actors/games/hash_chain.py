"""Hash chains: a million outcomes, committed to by one hash that is published beforehand.

Owns how a chain is made and looked up; where it is stored and who may read it is not its concern.

``h(i - 1) = SHA-256(h(i))``, on the 32 raw bytes. The chain is made from ``h(length)`` down to
``h(0)``, the *terminating hash*, which is published; rounds then use ``h(1)``, ``h(2)``, … upwards.
Whoever knows the hash of one round can check that it leads to the one before, and cannot compute the
one after. Of the chain only every ``checkpoint_interval``-th hash is kept; the others are found by
walking down from the checkpoint above.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256

HASH_BYTES = 32
SEED_BYTES_MIN = 32

_PROGRESS_EVERY_HASHES = 10_000


@dataclass(frozen=True)
class ChainParts:
    """What is stored of a chain. All checkpoints but the first are secrets, so ``repr`` hides them."""

    length: int
    """Rounds that the chain has hashes for."""
    checkpoint_interval: int
    checkpoints: tuple[bytes, ...] = field(repr=False)
    """``h(0), h(k), h(2k), …, h(length)`` for ``k = checkpoint_interval``; the last of them stands there
    also when ``length`` is no multiple of ``k``. See :func:`checkpoint_indexes`."""


def checkpoint_indexes(length: int, checkpoint_interval: int) -> list[int]:
    """The indexes of a chain's checkpoints, ascending: 0, k, 2k, …, ``length``.

    Raises:
        ValueError: a chain cannot have this shape.
    """
    if length < 1 or checkpoint_interval < 1:
        raise ValueError(f"no chain of {length} hashes with a checkpoint every {checkpoint_interval}")
    return [*range(0, length, checkpoint_interval), length]


def checkpoint_above(index: int, length: int, checkpoint_interval: int) -> int:
    """The index of the nearest checkpoint at or above ``index``.

    Raises:
        ValueError: ``index`` is not in 0 … ``length``.
    """
    if not 0 <= index <= length:
        raise ValueError(f"the chain has the hashes 0 to {length}, and not {index}")
    return min(-(-index // checkpoint_interval) * checkpoint_interval, length)


def walk_down(chain_hash: bytes, steps: int) -> bytes:
    """``h(i - steps)``, given ``h(i)``."""
    for _ in range(steps):
        chain_hash = sha256(chain_hash).digest()
    return chain_hash


def is_link(earlier: bytes, later: bytes) -> bool:
    """Whether ``later`` leads to ``earlier``: ``SHA-256(later) == earlier``."""
    return sha256(later).digest() == earlier


def generate(
    seed: bytes,
    length: int,
    checkpoint_interval: int,
    progress: Callable[[int], None] | None = None,
) -> ChainParts:
    """Make a chain: ``h(length) = SHA-256(seed)``, and from there down. A million take about a second.

    Args:
        seed: 32 bytes or more from a source of secrets. Forget it afterwards: it is needed no more.
        length: rounds the chain is for.
        checkpoint_interval: hashes from one checkpoint to the next, which bounds a look-up's steps.
        progress: called now and then, and at the end, with the number of hashes made, of ``length``.

    Raises:
        ValueError: the seed is too short, or a chain cannot have this shape.
    """
    if len(seed) < SEED_BYTES_MIN:
        raise ValueError(f"the seed has {len(seed)} bytes, and needs {SEED_BYTES_MIN}")
    kept = set(checkpoint_indexes(length, checkpoint_interval))
    current = sha256(seed).digest()
    descending = [current]
    for index in range(length - 1, -1, -1):
        current = sha256(current).digest()
        if index in kept:
            descending.append(current)
        if progress is not None and (index == 0 or (length - index) % _PROGRESS_EVERY_HASHES == 0):
            progress(length - index)
    return ChainParts(length, checkpoint_interval, tuple(reversed(descending)))


class HashChain:
    """Look-up in a chain. Trusts its parts: that they lead to one another is not verified."""

    def __init__(self, parts: ChainParts) -> None:
        """
        Raises:
            ValueError: the number of checkpoints does not fit the chain's shape.
        """
        indexes = checkpoint_indexes(parts.length, parts.checkpoint_interval)
        if len(indexes) != len(parts.checkpoints):
            raise ValueError(f"the chain needs {len(indexes)} checkpoints and has {len(parts.checkpoints)}")
        self._length = parts.length
        self._checkpoint_interval = parts.checkpoint_interval
        self._checkpoints = dict(zip(indexes, parts.checkpoints, strict=True))

    @property
    def length(self) -> int:
        """Rounds that the chain has hashes for."""
        return self._length

    @property
    def terminating_hash(self) -> bytes:
        """``h(0)``, which is published."""
        return self._checkpoints[0]

    def hash_at(self, index: int) -> bytes:
        """``h(index)``, after at most ``checkpoint_interval`` steps (one fewer, in fact).

        Raises:
            ValueError: ``index`` is not in 0 … ``length``.
        """
        above = checkpoint_above(index, self._length, self._checkpoint_interval)
        return walk_down(self._checkpoints[above], above - index)
