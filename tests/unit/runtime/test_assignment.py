from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from runtime.assignment import adopt, balance
from runtime.identity import ShardId

SHARDS = [ShardId(f"session#{number}") for number in range(16)]


def test_orphans_go_to_whoever_has_least() -> None:
    adopted = adopt(SHARDS, {1: 8, 2: 0})
    counts = Counter(adopted.values())
    assert (counts[1], counts[2]) == (4, 12)


def test_without_a_live_host_orphans_stay_orphans() -> None:
    assert adopt(SHARDS, {}) == {}


@given(
    st.lists(st.integers(min_value=1, max_value=6), min_size=16, max_size=16),
    st.sets(st.integers(min_value=1, max_value=8), min_size=1),
    st.integers(min_value=1, max_value=20),
)
def test_repeated_balancing_levels_the_staying_and_empties_the_leaving(
    owners: list[int], staying: set[int], moves_max: int
) -> None:
    owner_of = dict(zip(SHARDS, owners, strict=True))
    for _ in range(100):
        owned: dict[int, list[ShardId]] = {}
        for shard, owner in owner_of.items():
            owned.setdefault(owner, []).append(shard)
        moves = balance(owned, staying, moves_max)
        if not moves:
            break
        assert len(moves) <= moves_max
        for shard, source, target in moves:
            assert owner_of[shard] == source
            assert target in staying
            owner_of[shard] = target
    loads = Counter(owner_of.values())
    assert set(loads) <= staying
    assert max(loads.values()) - min(loads[host] for host in staying) <= 1
    assert sum(loads.values()) == len(SHARDS)
