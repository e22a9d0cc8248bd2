"""Crash: how a round's hash becomes its crash point, and how the multiplier grows with time.

Owns the mathematics alone; rounds, bets and tables are in ``actors.crash``. What is written here is
the contract that players verify rounds against: changing it breaks every past proof.

Multipliers and crash points are integers in *hundredths*: 150 is 1.50×. Everything is exact:

1. d = HMAC-SHA256(key = the salt's hex digits in ASCII, message = the 32 bytes of the round's hash);
   n = its first 52 bits, big-endian; X = n / 2^52.
2. The crash point is max(100, floor(99 / (1 - X))), so that P(crash point >= m) = 0.99 / m for every
   multiplier m above 1.00× on the grid: whenever a player cashes out, the house keeps 1 %.
   (The scheme and its reference code: the bustabit v2 seeding event, bitcointalk topic 2807542.)
3. The multiplier after t ms is floor(100 * e^(0.00006 t)).
"""

from __future__ import annotations

import hmac
import math
from decimal import Context, Decimal

MULTIPLIER_MIN = 101
"""The least multiplier that a bet can be cashed out at: 1.01×."""
MULTIPLIER_MAX = 100_000_000
"""The greatest multiplier that an automatic cash-out can ask for: 1,000,000.00×."""
CRASH_POINT_BITS = 52
CRASH_POINT_MIN = 100
"""A round that nobody can win: 1.00×."""
HASH_BYTES = 32

_NUMERATOR = 99
_GROWTH_PER_MS = 0.00006
_GROWTH_PER_MS_EXACT = Decimal("0.00006")
_FLOAT_PROVEN_UNTIL_MS = 230_259
"""The first ms at which the multiplier is ``MULTIPLIER_MAX``. A test compares every ms up to here with
the exact value and with the errors that a float can have."""
_EXACT = Context(prec=50)


def crash_point(round_hash: bytes, salt: str) -> int:
    """Where a round crashes, in hundredths, 100 … 99 * 2^52.

    Args:
        round_hash: the 32 raw bytes of the round's hash.
        salt: the published salt, as the lower-case hex digits that were published.

    Raises:
        ValueError: the hash has not 32 bytes, or the salt is not ASCII.
    """
    if len(round_hash) != HASH_BYTES:
        raise ValueError(f"a round's hash has {HASH_BYTES} bytes, not {len(round_hash)}")
    digest = hmac.digest(salt.encode("ascii"), round_hash, "sha256")
    draw = int.from_bytes(digest[:8], "big") >> (64 - CRASH_POINT_BITS)
    return crash_point_of_draw(draw)


def crash_point_of_draw(draw: int, bits: int = CRASH_POINT_BITS) -> int:
    """The crash point in hundredths that belongs to X = ``draw / 2**bits``, 0 <= X < 1.

    ``bits`` is a parameter for the proof of the distribution, which counts every draw of a few bits.
    """
    draws = 1 << bits
    return max(CRASH_POINT_MIN, _NUMERATOR * draws // (draws - draw))


def multiplier_at(elapsed_ms: int) -> int:
    """The multiplier in hundredths, ``elapsed_ms`` after the start of the round; 100 at the start.

    Raises:
        ValueError: ``elapsed_ms`` is negative.
    """
    if elapsed_ms < 0:
        raise ValueError(f"the round has not started: {elapsed_ms} ms")
    if elapsed_ms <= _FLOAT_PROVEN_UNTIL_MS:
        return int(100 * math.exp(_GROWTH_PER_MS * elapsed_ms))
    # Reached by one round in a million; from 2^53 on a float could not even hold the result.
    exponent = _EXACT.multiply(_GROWTH_PER_MS_EXACT, elapsed_ms)
    return int(_EXACT.multiply(100, _EXACT.exp(exponent)))


def elapsed_until(hundredths: int) -> int:
    """The first ms after the start at which the multiplier is at least ``hundredths``.

    Raises:
        ValueError: ``hundredths`` is below 100.
    """
    if hundredths < CRASH_POINT_MIN:
        raise ValueError(f"no multiplier is below 1.00: {hundredths}")
    elapsed_ms = int(math.log(hundredths / 100) / _GROWTH_PER_MS)
    # The logarithm is right within a ms or two; which ms it is, only the multiplier itself decides.
    while multiplier_at(elapsed_ms) < hundredths:
        elapsed_ms += 1
    while elapsed_ms > 0 and multiplier_at(elapsed_ms - 1) >= hundredths:
        elapsed_ms -= 1
    return elapsed_ms


def elapsed_until_above(hundredths: int) -> int:
    """The first ms after the start at which the multiplier exceeds ``hundredths``.

    A round ends then, except that one with a crash point of 1.00× ends as it starts.

    Raises:
        ValueError: ``hundredths`` is below 100.
    """
    if hundredths < CRASH_POINT_MIN:
        raise ValueError(f"no multiplier is below 1.00: {hundredths}")
    return elapsed_until(hundredths + 1)


def payout(stake: int, hundredths: int) -> int:
    """What a stake that is cashed out at ``hundredths`` pays, the stake included, rounded down."""
    return stake * hundredths // 100


def as_float(hundredths: int) -> float:
    """As clients are told: 150 is ``1.5``."""
    return hundredths / 100
