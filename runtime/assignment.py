"""Which shard should go to whom. Pure arithmetic on counts; carries nothing out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from runtime.identity import ShardId
from runtime.journal import Incarnation


def adopt(orphans: Iterable[ShardId], loads: Mapping[Incarnation, int]) -> dict[ShardId, Incarnation]:
    """Give each orphan to whoever has least. ``loads`` are the shards each candidate owns."""
    loads = dict(loads)
    adopted: dict[ShardId, Incarnation] = {}
    for shard in sorted(orphans) if loads else ():
        least = min(loads, key=lambda incarnation: (loads[incarnation], incarnation))
        adopted[shard] = least
        loads[least] += 1
    return adopted


def balance(
    owned: Mapping[Incarnation, list[ShardId]], staying: Iterable[Incarnation], moves_max: int
) -> list[tuple[ShardId, Incarnation, Incarnation]]:
    """Moves ``(shard, from, to)`` that empty the leaving and level the staying; few at a time."""
    stays = sorted(staying)
    if not stays:
        return []
    shards = {incarnation: sorted(owned.get(incarnation, [])) for incarnation in {*owned, *stays}}
    moves: list[tuple[ShardId, Incarnation, Incarnation]] = []
    for leaver in sorted(set(shards) - set(stays)):
        while shards[leaver] and len(moves) < moves_max:
            least = min(stays, key=lambda incarnation: len(shards[incarnation]))
            shard = shards[leaver].pop()
            shards[least].append(shard)
            moves.append((shard, leaver, least))
    while len(moves) < moves_max:
        most = max(stays, key=lambda incarnation: len(shards[incarnation]))
        least = min(stays, key=lambda incarnation: len(shards[incarnation]))
        if len(shards[most]) - len(shards[least]) < 2:
            break
        shard = shards[most].pop()
        shards[least].append(shard)
        moves.append((shard, most, least))
    return moves
