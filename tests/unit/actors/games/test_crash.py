import hashlib
import math
from array import array
from collections import Counter
from decimal import Context, Decimal
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.games.crash import (
    CRASH_POINT_BITS,
    MULTIPLIER_MAX,
    MULTIPLIER_MIN,
    as_float,
    crash_point,
    crash_point_of_draw,
    elapsed_until,
    elapsed_until_above,
    multiplier_at,
    payout,
)

# The seeding events of bustabit, whose scheme this is. Its older chain (games 1 to 10,000,000) is salted
# with the hash of bitcoin block 505750: bitcointalk.org, topic 2807542. Its current one has another salt,
# which github.com/deduzzo/bustabit-scripts quotes from bitcointalk.org, topic 5560454.
OLD_SALT = "0000000000000000004d6ec16dafe9d8370958664c1dc422f452892264c59526"
NEW_SALT = "00000000000000000001e08b7fd44f95e3e950ac65650a8031a6d5e1750e34be"

PUBLISHED_GAMES = [
    # As players wrote them down: github.com/vladignatyev/bustabit-rust, tests/lib.rs. The first and the one
    # of 105,710.05 lead to that chain's terminating hash, in 1,394,728 and 1,398,009 steps (which that chain
    # takes over the hex digits, not over the bytes).
    (OLD_SALT, "b2acd37fbdb5509926ab5d7329704c840f8467266c90019682f3b260a029bdba", 126),
    (OLD_SALT, "82886b71b3b26e4b162bbdf4e7024f50f6a7250c207fb9ce497ad56a3e7e700a", 118),
    (OLD_SALT, "cb7da3ec6cb68d4c0fccd9640641cabcac641f12ff97e7314ec3e074ac0981e0", 126),
    (OLD_SALT, "b459e199bac1342bf22d7aa6d19180aff35ab69f453d809949aab3e8d5e545aa", 377),
    (OLD_SALT, "5d07719b61b0abb6f1c3b17b1d69c838278f87f9b5e75077026e5fedf96c2eb2", 205_590),
    (OLD_SALT, "7d58fa510e6ad19a5c2a08302906110702ad354c3d275592068bc3df9cd7fd1d", 10_571_005),
    (OLD_SALT, "66508662791cbe526d740394a62713d3879f00cd11ee5ef10f7b592c676371f4", 145_685),
    # Games 12,306,896, …95 and …94 as shown on the site: github.com/deduzzo/bustabit-scripts. That they are
    # of the current chain is tested beside the chains.
    (NEW_SALT, "94aa062026624e59a0ace092568d5f46e21b9bf1d5173609db8645dd62bdfc44", 1091),
    (NEW_SALT, "94e66d98029c61ecd27c4fb6b381d401c823cf3dfbdac9246756d5b655e125aa", 426),
    (NEW_SALT, "8d3b9726ca7bc5e3637bf2079e09eaf2a9d67df4e6f50ff23a7b593bd802cca6", 183),
]

DRAWS = 1 << CRASH_POINT_BITS


def crash_point_by_the_book(round_hash: bytes, salt: str) -> int:
    """RFC 2104 from SHA-256 alone, bits counted one by one, and fractions for the rest."""
    key = salt.encode().ljust(64, b"\0")
    inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in key) + round_hash).digest()
    digest = hashlib.sha256(bytes(byte ^ 0x5C for byte in key) + inner).digest()
    bits = "".join(f"{byte:08b}" for byte in digest)[:52]
    x = sum((Fraction(1, 2**place) for place, bit in enumerate(bits, 1) if bit == "1"), Fraction(0))
    return max(100, math.floor(99 / (1 - x)))


def probability_of_at_least(hundredths: int) -> float:
    return min(1.0, (99 * DRAWS // hundredths) / DRAWS)


@pytest.mark.parametrize(("salt", "round_hash", "hundredths"), PUBLISHED_GAMES)
def test_published_games_of_the_scheme(salt: str, round_hash: str, hundredths: int) -> None:
    assert crash_point(bytes.fromhex(round_hash), salt) == hundredths


@given(st.binary(min_size=32, max_size=32), st.from_regex(r"[0-9a-f]{64}", fullmatch=True))
def test_it_is_the_published_scheme(round_hash: bytes, salt: str) -> None:
    assert crash_point(round_hash, salt) == crash_point_by_the_book(round_hash, salt)


@pytest.mark.parametrize(("round_hash", "salt"), [(b"\0" * 31, "00"), (b"\0" * 33, "00"), (b"\0" * 32, "ü")])
def test_what_is_no_hash_or_salt_is_refused(round_hash: bytes, salt: str) -> None:
    with pytest.raises(ValueError, match=r"bytes|ascii"):
        crash_point(round_hash, salt)


def test_least_and_greatest_crash_points() -> None:
    assert crash_point_of_draw(0) == 100
    assert crash_point_of_draw(DRAWS - 1) == 99 * DRAWS
    assert as_float(99 * DRAWS) == 0.99 * DRAWS


def test_division_is_exact_where_a_float_would_round_up() -> None:
    """d * 114 is 99 * 2^52 + 18: the quotient is just below 114, and as a float it is 114."""
    d = (99 * DRAWS + 18) // 114
    assert d * 114 == 99 * DRAWS + 18
    assert math.floor(99 / (1 - (DRAWS - d) / DRAWS)) == 114
    assert crash_point_of_draw(DRAWS - d) == 113


@pytest.mark.parametrize("bits", [1, 2, 7, 12, 16])
def test_the_house_keeps_one_percent_at_every_multiplier(bits: int) -> None:
    """P(crash point >= m) = 0.99 / m on the grid, by counting every draw of so many bits.

    Not more than 0.99 / m anywhere, and less by less than one draw: exactly as near as draws allow.
    """
    draws = 1 << bits
    outcomes = Counter(crash_point_of_draw(draw, bits) for draw in range(draws))
    at_least = draws
    assert min(outcomes) == 100
    for hundredths in range(101, max(outcomes) + 2 if bits < 12 else 100_000):
        at_least -= outcomes[hundredths - 1]
        wanted = Fraction(99, hundredths)
        assert 0 <= wanted - Fraction(at_least, draws) < Fraction(1, draws)


def test_the_probability_is_exact_where_it_is_a_number_of_draws() -> None:
    won = sum(crash_point_of_draw(draw, 14) >= 198 for draw in range(1 << 14))
    assert Fraction(won, 1 << 14) == Fraction(99, 198)


def test_about_two_percent_of_the_rounds_cannot_be_won() -> None:
    instant = sum(crash_point_of_draw(draw, 16) == 100 for draw in range(1 << 16))
    assert instant == math.ceil(Fraction(2, 101) * (1 << 16))
    assert instant / (1 << 16) == pytest.approx(0.0198, abs=0.00002)


BIN_EDGES = [101, 105, 110, 120, 135, 150, 175, 200, 250, 300, 400, 500, 750, 1000, 2000, 5000, 10_000,
             100_000, 1_000_000]  # fmt: skip
CHI_SQUARED_MAX = 43.8
"""One in a thousand exceeds it, with 19 degrees of freedom."""


def check_distribution(outcomes: Counter[int]) -> None:
    draws = outcomes.total()
    tails = [draws] + [sum(n for c, n in outcomes.items() if c >= edge) for edge in BIN_EDGES] + [0]
    wanted = [1.0, *map(probability_of_at_least, BIN_EDGES), 0.0]
    chi_squared = 0.0
    for (seen_from, seen_to), (from_, to) in zip(pairwise(tails), pairwise(wanted), strict=True):
        expected = draws * (from_ - to)
        assert expected > 50, "too few for the test"
        chi_squared += (seen_from - seen_to - expected) ** 2 / expected
    assert chi_squared < CHI_SQUARED_MAX
    for seen, probability in zip(tails[1:-1], wanted[1:-1], strict=True):
        deviation = math.sqrt(draws * probability * (1 - probability))
        assert abs(seen - draws * probability) < 4 * deviation


def test_ten_million_draws_have_the_distribution() -> None:
    outcomes: Counter[int] = Counter()
    for block in range(10):
        random_bytes = hashlib.shake_256(f"crash {block}".encode()).digest(8 * 1_000_000)
        outcomes.update(crash_point_of_draw(word >> 12) for word in array("Q", random_bytes))
    assert outcomes.total() == 10_000_000
    check_distribution(outcomes)


def test_hashes_of_a_chain_have_the_distribution() -> None:
    chain_hash = bytes(32)
    outcomes: Counter[int] = Counter()
    for _ in range(600_000):
        chain_hash = hashlib.sha256(chain_hash).digest()
        outcomes[crash_point(chain_hash, OLD_SALT)] += 1
    check_distribution(outcomes)


def test_the_check_of_distributions_can_fail() -> None:
    shifted = Counter(crash_point_of_draw(n << 34) + 1 for n in range(1 << 18))
    with pytest.raises(AssertionError):
        check_distribution(shifted)


PRECISE = Context(prec=60)
FLOAT_ERROR = Fraction(4, 10**15)
"""Bounds the relative error of ``100 * exp(0.00006 * t)`` in floats. The exponent, at most 13.82, is off by
2^-53 of itself for the constant and as much for the product; that is the result's relative error, to which
exp adds two units in the last place (the good libraries: less than one), and the last product half a one:
13.82 * 2^-52 + 2 * 2^-52 + 2^-53 < 3.7e-15."""


def test_no_float_decides_a_multiplier() -> None:
    """At every ms up to MULTIPLIER_MAX the exact value is farther from the next integer than a float can
    be wrong, by more than a hundred times: on every machine, in every language, the result is the same."""
    factor = PRECISE.exp(Decimal("0.00006"))
    exact = Decimal(100)
    nearest = Decimal(1)
    until = elapsed_until(MULTIPLIER_MAX)
    assert multiplier_at(0) == 100
    for elapsed_ms in range(1, until + 1):
        exact = PRECISE.multiply(exact, factor)
        floor = math.floor(exact)
        assert multiplier_at(elapsed_ms) == floor
        above = exact - floor
        nearest = min(nearest, min(above, 1 - above) / exact)
    assert multiplier_at(until) >= MULTIPLIER_MAX > multiplier_at(until - 1)
    assert Fraction(nearest) > 100 * FLOAT_ERROR
    # The powers above have erred by less than this, or the comparison would be worth nothing.
    assert abs(exact - PRECISE.multiply(100, PRECISE.exp(Decimal("0.00006") * until))) < Decimal("1e-40")


@pytest.mark.parametrize("elapsed_ms", [230_260, 230_261, 300_000, 500_123, 600_560, 600_561])
def test_beyond_the_greatest_cash_out_it_is_exact_too(elapsed_ms: int) -> None:
    exponent = Fraction(6 * elapsed_ms, 100_000)
    series, term, n = Fraction(0), Fraction(1), 0
    while term > Fraction(1, 10**30):
        series, n = series + term, n + 1
        term = term * exponent / n
    assert multiplier_at(elapsed_ms) == math.floor(100 * series)


def test_time_and_multiplier_are_exact_inverses() -> None:
    before = multiplier_at(0)
    for elapsed_ms in range(1, 120_000):
        now = multiplier_at(elapsed_ms)
        assert now >= before
        if now > before:
            assert (
                elapsed_until(now) == elapsed_until(before + 1) == elapsed_until_above(before) == elapsed_ms
            )
        before = now


@given(st.integers(MULTIPLIER_MIN, MULTIPLIER_MAX) | st.integers(MULTIPLIER_MIN, 99 * DRAWS))
def test_the_first_ms_at_and_above_any_multiplier(hundredths: int) -> None:
    at, above = elapsed_until(hundredths), elapsed_until_above(hundredths)
    assert multiplier_at(at - 1) < hundredths <= multiplier_at(at)
    assert multiplier_at(above - 1) <= hundredths < multiplier_at(above)


def test_times_that_players_know() -> None:
    assert (elapsed_until(100), elapsed_until(101), elapsed_until_above(100)) == (0, 166, 166)
    assert (elapsed_until(200), elapsed_until(1000), elapsed_until(MULTIPLIER_MAX)) == (
        11_553,
        38_377,
        230_259,
    )
    assert elapsed_until_above(99 * DRAWS) == 600_561, "the longest round there can be takes ten minutes"


def test_before_the_start_there_is_no_multiplier() -> None:
    with pytest.raises(ValueError, match="not started"):
        multiplier_at(-1)
    for inverse in (elapsed_until, elapsed_until_above):
        with pytest.raises(ValueError, match="below"):
            inverse(99)


@given(st.integers(1, 10**9), st.integers(MULTIPLIER_MIN, MULTIPLIER_MAX))
def test_payouts_are_rounded_down(stake: int, hundredths: int) -> None:
    assert payout(stake, hundredths) == math.floor(stake * Fraction(hundredths, 100))


@given(st.integers(100, MULTIPLIER_MAX))
def test_clients_are_told_two_decimals(hundredths: int) -> None:
    assert as_float(hundredths) == float(f"{hundredths // 100}.{hundredths % 100:02}")
