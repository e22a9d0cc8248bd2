import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.games.hash_chain import (
    ChainParts,
    HashChain,
    checkpoint_above,
    checkpoint_indexes,
    generate,
    is_link,
    walk_down,
)

SEED = bytes(range(32))


def whole_chain(seed: bytes, length: int) -> list[bytes]:
    """h(0) … h(length), made in the open."""
    made = [hashlib.sha256(seed).digest()]
    while len(made) <= length:
        made.append(hashlib.sha256(made[-1]).digest())
    return made[::-1]


@given(st.binary(min_size=32, max_size=64), st.integers(1, 120), st.integers(1, 130))
def test_every_hash_is_found_and_leads_to_the_one_before(seed: bytes, length: int, interval: int) -> None:
    chain = HashChain(generate(seed, length, interval))
    expected = whole_chain(seed, length)
    assert [chain.hash_at(index) for index in range(length + 1)] == expected
    assert all(is_link(chain.hash_at(index), chain.hash_at(index + 1)) for index in range(length))
    assert chain.terminating_hash == expected[0]
    assert chain.length == length


@given(st.integers(1, 500), st.integers(1, 500))
def test_checkpoints_are_where_they_are_said_to_be(length: int, interval: int) -> None:
    indexes = checkpoint_indexes(length, interval)
    assert indexes[0] == 0
    assert indexes[-1] == length
    assert all(index % interval == 0 for index in indexes[:-1])
    assert indexes == sorted(set(indexes))
    for index in range(length + 1):
        above = checkpoint_above(index, length, interval)
        assert above == min(candidate for candidate in indexes if candidate >= index)
        assert above - index < interval


def test_the_parts_hold_the_checkpoints_and_do_not_show_them() -> None:
    parts = generate(SEED, 10, 4)
    chain = whole_chain(SEED, 10)
    assert parts.checkpoints == (chain[0], chain[4], chain[8], chain[10])
    assert chain[4].hex() not in repr(parts)
    assert "checkpoints" not in repr(parts)


def test_progress_is_told_now_and_then_and_at_the_end() -> None:
    told: list[int] = []
    generate(SEED, 25_000, 1000, told.append)
    assert told == [10_000, 20_000, 25_000]
    generate(SEED, 1, 1, told.append)
    assert told[3:] == [1]


def test_a_published_chain() -> None:
    """bustabit's current chain, which begins with game 10,000,001: its terminating hash, and the hashes of
    the games 12,306,896 and 12,306,895 as the site showed them (github.com/deduzzo/bustabit-scripts)."""
    game = bytes.fromhex("94aa062026624e59a0ace092568d5f46e21b9bf1d5173609db8645dd62bdfc44")
    before = bytes.fromhex("94e66d98029c61ecd27c4fb6b381d401c823cf3dfbdac9246756d5b655e125aa")
    assert is_link(before, game)
    assert not is_link(game, before)
    terminating_hash = "567a98370fb7545137ddb53687723cf0b8a1f5e93b1f76f4a1da29416930fa59"
    assert walk_down(game, 12_306_896 - 10_000_000).hex() == terminating_hash


@pytest.mark.parametrize("index", [-1, 11])
def test_beyond_its_ends_a_chain_has_no_hash(index: int) -> None:
    with pytest.raises(ValueError, match="0 to 10"):
        HashChain(generate(SEED, 10, 4)).hash_at(index)


@pytest.mark.parametrize(("length", "interval"), [(0, 1), (-1, 1), (1, 0)])
def test_impossible_shapes_are_refused(length: int, interval: int) -> None:
    with pytest.raises(ValueError, match="no chain of"):
        generate(SEED, length, interval)


def test_a_seed_that_could_be_guessed_is_refused() -> None:
    with pytest.raises(ValueError, match="31 bytes"):
        generate(bytes(31), 1, 1)


def test_parts_that_do_not_fit_are_refused() -> None:
    parts = generate(SEED, 10, 4)
    with pytest.raises(ValueError, match="needs 4 checkpoints and has 3"):
        HashChain(ChainParts(10, 4, parts.checkpoints[1:]))
