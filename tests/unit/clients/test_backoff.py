import pytest

from clients.backoff import Backoff


def test_delays_are_jittered_over_the_whole_range() -> None:
    asked: list[tuple[float, float]] = []

    def draw(low: float, high: float) -> float:
        asked.append((low, high))
        return high

    backoff = Backoff(base_s=0.1, ceiling_s=1.0, uniform=draw)
    assert [backoff.next_s() for _ in range(6)] == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.0, 1.0])
    assert {low for low, _ in asked} == {0.0}


def test_reset_begins_again() -> None:
    backoff = Backoff(base_s=0.1, ceiling_s=1.0, uniform=lambda low, high: high)
    for _ in range(5):
        backoff.next_s()
    assert backoff.attempt == 5
    backoff.reset()
    assert backoff.next_s() == pytest.approx(0.1)


def test_never_above_the_ceiling_nor_below_zero_however_often() -> None:
    backoff = Backoff(base_s=0.01, ceiling_s=5.0)
    delays = [backoff.next_s() for _ in range(3000)]
    assert min(delays) >= 0.0
    assert max(delays) <= 5.0
    assert len(set(delays)) > 2900


@pytest.mark.parametrize(("base_s", "ceiling_s"), [(0.0, 1.0), (-1.0, 1.0), (2.0, 1.0)])
def test_senseless_bounds_are_refused(base_s: float, ceiling_s: float) -> None:
    with pytest.raises(ValueError, match="base_s"):
        Backoff(base_s=base_s, ceiling_s=ceiling_s)
