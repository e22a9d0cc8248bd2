"""Plain numbers, as they will be read."""

from __future__ import annotations

from runtime.metrics import Histogram, Rates


def test_a_value_falls_into_the_first_bucket_that_holds_it() -> None:
    lag = Histogram((1, 2, 5))
    for observed in (-5, 0, 1, 2, 3, 5, 5.1):
        lag.observe(observed)
    assert lag.counts == [3, 1, 2, 1]
    assert lag.total == 1 + 2 + 3 + 5 + 5.1


def test_buckets_add_up_as_prometheus_wants_them() -> None:
    lag = Histogram((0.5, 1))
    for observed in (0.1, 0.7, 3):
        lag.observe(observed)
    assert lag.cumulative() == [("0.5", 1), ("1.0", 2), ("+Inf", 3)]


def test_rates_are_over_the_samples_that_are_kept() -> None:
    rates = Rates(samples_max=3)
    assert rates.sample(10.0, {"turns": 100}) == {"turns": 0.0}
    assert rates.sample(11.0, {"turns": 150}) == {"turns": 50.0}
    assert rates.sample(12.0, {"turns": 160, "commits": 5}) == {"turns": 30.0, "commits": 2.5}
    # The first sample is gone by now.
    assert rates.sample(13.0, {"turns": 160})["turns"] == 5.0
