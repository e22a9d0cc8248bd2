"""Names of actors and of the shards they live in.

An actor is addressed by ``kind/key``; the address is one string so that it reads the same in
the journal, on the wire and in a log line. A shard is the unit of placement: it has exactly one
owner at a time. Where an actor lives follows from its address alone.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import NewType

ActorId = NewType("ActorId", str)
ShardId = NewType("ShardId", str)


def actor_id(kind: str, key: str) -> ActorId:
    """Build an address. Raises ``ValueError`` when the two parts could not be told apart again."""
    if not kind or "/" in kind or not key:
        raise ValueError(f"not an actor address: kind {kind!r}, key {key!r}")
    return ActorId(f"{kind}/{key}")


def kind_of(actor: ActorId) -> str:
    return actor.partition("/")[0]


def key_of(actor: ActorId) -> str:
    return actor.partition("/")[2]


@dataclass(frozen=True)
class Packed:
    """Many activations share a host: keys hash to a fixed number of shards."""

    shards: int = 64


def _itself(key: str) -> str:
    return key


@dataclass(frozen=True)
class Dedicated:
    """A host process of its own for each group of keys; by default a group is one key.

    ``group`` maps a key to the name of its group, so that all rounds of a Crash table can
    share their table's process.
    """

    group: Callable[[str], str] = _itself


Placement = Packed | Dedicated


def shard_of(actor: ActorId, placement: Placement) -> ShardId:
    """The shard of an actor: ``session#17`` when packed, ``session@KEY`` when dedicated.

    CRC-32 because the result must be the same in every process and language, for ever.
    """
    kind, _, key = actor.partition("/")
    if isinstance(placement, Packed):
        return ShardId(f"{kind}#{zlib.crc32(key.encode()) % placement.shards}")
    return ShardId(f"{kind}@{placement.group(key)}")


def packed_shards(kind: str, placement: Packed) -> list[ShardId]:
    """Every shard of a packed kind, in order."""
    return [ShardId(f"{kind}#{number}") for number in range(placement.shards)]


def is_dedicated(shard: ShardId) -> bool:
    return "@" in shard


def dedicated_host_name(shard: ShardId) -> str:
    """The name of the host that a dedicated shard has to itself: ``session@ann`` → ``session-ann``."""
    return shard.replace("@", "-", 1)
