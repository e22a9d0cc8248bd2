import pytest

from runtime.identity import (
    Dedicated,
    Packed,
    actor_id,
    dedicated_host_name,
    is_dedicated,
    key_of,
    kind_of,
    packed_shards,
    shard_of,
)


def test_an_address_is_told_apart_again() -> None:
    actor = actor_id("session", "u_a/b")
    assert (kind_of(actor), key_of(actor)) == ("session", "u_a/b")


@pytest.mark.parametrize(("kind", "key"), [("", "a"), ("a/b", "c"), ("session", "")])
def test_ambiguous_addresses_are_refused(kind: str, key: str) -> None:
    with pytest.raises(ValueError, match="not an actor address"):
        actor_id(kind, key)


def test_shards_are_the_same_in_every_process_and_release() -> None:
    # The journal outlives every program version: these values must never change.
    assert shard_of(actor_id("session", "ann"), Packed(64)) == "session#51"
    assert shard_of(actor_id("session", "ben"), Packed(64)) == "session#33"


def test_packed_keys_spread_over_all_shards() -> None:
    placement = Packed(16)
    found = {shard_of(actor_id("session", f"u_{number}"), placement) for number in range(1000)}
    assert found == set(packed_shards("session", placement))


def test_a_dedicated_group_shares_a_host() -> None:
    placement = Dedicated(group=lambda key: key.partition(":")[0])
    rounds = {shard_of(actor_id("crash", f"main:{number}"), placement) for number in range(10)}
    assert rounds == {"crash@main"}
    [shard] = rounds
    assert is_dedicated(shard)
    assert dedicated_host_name(shard) == "crash-main"
