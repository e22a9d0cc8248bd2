import hashlib
from collections import Counter
from itertools import islice, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.games.fairness import DRAW_RANGE, below, commitment, draws

SEED = bytes(range(32))


def hmac_by_the_book(key: bytes, message: bytes) -> bytes:
    """RFC 2104, from SHA-256 alone."""
    key = key.ljust(64, b"\0")
    inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in key) + message).digest()
    return hashlib.sha256(bytes(byte ^ 0x5C for byte in key) + inner).digest()


def test_commitment_is_the_sha256_of_the_raw_seed() -> None:
    # echo 000102…1f | xxd -r -p | sha256sum
    assert commitment(SEED) == "630dcd2966c4336691125448bbb25b4ff412a49c732db2c8abc1b8581bd710dd"


@given(
    st.binary(min_size=32, max_size=32),
    st.from_regex(r"[A-Za-z0-9_.-]{1,64}", fullmatch=True),
    st.integers(0),
)
def test_draws_follow_the_published_scheme(seed: bytes, client_seed: str, nonce: int) -> None:
    expected = []
    for cursor in range(3):
        block = hmac_by_the_book(seed, f"{client_seed}:{nonce}:{cursor}".encode("ascii"))
        expected += [int.from_bytes(block[i : i + 4], "big") for i in range(0, 32, 4)]
    assert list(islice(draws(seed, client_seed, nonce), 24)) == expected


def test_draws_can_be_repeated_and_differ_by_nonce() -> None:
    def first(nonce: int) -> list[int]:
        return list(islice(draws(SEED, "luck", nonce), 8))

    assert first(1) == first(1)
    assert first(1) != first(2)


@pytest.mark.parametrize("bound", range(1, 17))
def test_below_is_exactly_uniform(bound: int) -> None:
    """Over every sequence of two draws of four bits: each result is equally frequent."""
    results: Counter[int] = Counter()
    for sequence in product(range(16), repeat=2):
        try:
            results[below(iter(sequence), bound, draw_range=16)] += 1
        except ValueError:
            assert all(draw >= 16 - 16 % bound for draw in sequence), "only rejected draws run dry"
    assert set(results) == set(range(bound))
    assert len(set(results.values())) == 1


def test_below_rejects_the_incomplete_last_run() -> None:
    # 2^32 = 3 * 1431655765 + 1: the last draw would favour 0.
    assert below(iter([DRAW_RANGE - 1, 5]), 3) == 2
    assert below(iter([DRAW_RANGE - 2]), 3) == 2


@pytest.mark.parametrize("bound", [0, -1, DRAW_RANGE + 1])
def test_below_refuses_what_a_draw_cannot_decide(bound: int) -> None:
    with pytest.raises(ValueError, match="no uniform choice"):
        below(iter([1]), bound)


def test_below_takes_as_many_draws_as_it_needs() -> None:
    source = iter([15, 15, 4, 7])
    assert below(source, 5, draw_range=16) == 4
    assert next(source) == 7
