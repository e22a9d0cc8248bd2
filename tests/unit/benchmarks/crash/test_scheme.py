"""Against the server's own implementation, which was written by somebody else."""

import hashlib
from random import Random

import pytest

from actors.games import crash as house
from benchmarks.crash.scheme import OffTheGrid, crash_point, hundredths, is_link, multiplier_at, payout


def test_crash_points_are_the_houses() -> None:
    salt = "0a" * 32
    points = []
    for number in range(500):
        link = hashlib.sha256(str(number).encode()).digest()
        points.append(crash_point(link.hex(), salt))
        assert points[-1] == house.crash_point(link, salt)
    assert min(points) == 100
    assert max(points) > 1000


def test_the_curve_is_the_houses_within_a_hundredth() -> None:
    random = Random(1)
    for elapsed_ms in (0, 1, 165, 166, 11_552, *(random.randrange(200_000) for _ in range(500))):
        assert abs(multiplier_at(elapsed_ms) - house.multiplier_at(elapsed_ms)) <= 1


def test_payouts_are_rounded_down() -> None:
    assert (payout(3, 133), payout(1, 199), payout(7, 100)) == (3, 1, 7)


@pytest.mark.parametrize(("told", "meant"), [(1.0, 100), (1.01, 101), (2.55, 255), (1_000_000.0, 10**8)])
def test_wire_multipliers(told: float, meant: int) -> None:
    assert hundredths(told) == meant


@pytest.mark.parametrize("told", [1.001, 2.5049, float("nan"), float("inf")])
def test_multipliers_off_the_grid(told: float) -> None:
    with pytest.raises(OffTheGrid):
        hundredths(told)


def test_links() -> None:
    later = hashlib.sha256(b"x").digest()
    assert is_link(later.hex(), hashlib.sha256(later).hexdigest().upper())
    assert not is_link(later.hex(), later.hex())
    with pytest.raises(ValueError, match="hex"):
        is_link("no", later.hex())
