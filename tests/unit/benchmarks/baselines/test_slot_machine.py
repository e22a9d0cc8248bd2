from collections import Counter
from fractions import Fraction
from itertools import product

import msgspec
import pytest

from benchmarks.baselines.slot_machine import _STRIP, Player, Refused, multiplier_of, spin, streak_after

_PLAYER = Player(gold=100, streak=2, nonce=7, server_seed=b"s" * 32, client_seed="c" * 16)


def test_a_spin_follows_from_seeds_and_nonce() -> None:
    spun = spin(_PLAYER, 10)
    assert spun == spin(_PLAYER, 10)
    assert spun.gold_balance == 90 + spun.payout
    assert spun.symbols == tuple(_STRIP[stop] for stop in spun.stops)
    assert spun.payout == 10 * multiplier_of(spun.symbols)
    lines = {
        spin(msgspec.structs.replace(_PLAYER, nonce=nonce), 1).stops
        for nonce in range(50)
    }  # fmt: skip
    assert len(lines) > 45


def test_players_do_not_go_broke_during_a_run() -> None:
    """The return is near one, as the casino's is."""
    weights = Counter(_STRIP)
    assert sum(weights.values()) == len(_STRIP) == 32
    paid = sum(
        multiplier_of((a, b, c)) * weights[a] * weights[b] * weights[c]
        for a, b, c in product(weights, repeat=3)
    )
    assert Fraction(94, 100) < Fraction(paid, 32**3) < Fraction(99, 100)


@pytest.mark.parametrize(
    ("stake", "code"), [(0, "invalid_data"), (10_001, "invalid_data"), (101, "insufficient_funds")]
)
def test_refusals(stake: int, code: str) -> None:
    with pytest.raises(Refused) as refusal:
        spin(_PLAYER, stake)
    assert refusal.value.code == code


def test_a_streak_grows_and_breaks() -> None:
    spun = spin(_PLAYER, 1)
    assert streak_after(_PLAYER, msgspec.structs.replace(spun, payout=2)) == 3
    assert streak_after(_PLAYER, msgspec.structs.replace(spun, payout=1)) == 0
