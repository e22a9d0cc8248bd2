import pytest

from benchmarks.compare.pairing import P99, RATE, Pair, Spread, figure, ratio, spread, turns
from tests.unit.benchmarks.compare.comparisons import a_slice, some_pairs


def test_turns_alternate_so_that_a_drift_is_for_neither() -> None:
    assert turns("a", "b", 3) == [("a", "b"), ("b", "a"), ("a", "b")]


def test_a_drift_of_the_machine_cancels() -> None:
    # Everything gets 10 % slower from slice to slice; the two are equals.
    speed, pairs = 1_000.0, []
    for turn in turns("a", "b", 4):
        taken = []
        for server in turn:
            taken.append(a_slice(server, speed))
            speed *= 0.9
        pairs.append(Pair((taken[0], taken[1])))
    found = ratio(pairs, RATE, "a", "b")
    assert found.value == pytest.approx(1.0, abs=0.01)
    assert found.low == pytest.approx(0.9)
    assert found.high == pytest.approx(1 / 0.9)


def test_the_ratio_is_the_median_of_the_pairs_ratios() -> None:
    assert ratio(some_pairs(), RATE, "casino", "rowlock") == Spread(6.0, 5.0, 7.0)
    assert ratio(some_pairs(), P99, "casino", "rowlock") == Spread(0.05, 0.04, 0.1)
    assert figure(some_pairs(), "casino", RATE) == Spread(6_000.0, 5_000.0, 7_000.0)


def test_one_measurement_has_no_spread() -> None:
    assert spread([3.0]) == Spread(3.0, None, None)
    assert spread([1.0, 2.0]) == Spread(1.5, 1.0, 2.0)


def test_nothing_measured_is_no_number() -> None:
    with pytest.raises(ValueError, match="nothing was measured"):
        spread([])
    with pytest.raises(ValueError, match="rowlock has no rate"):
        ratio([Pair((a_slice("casino", 5.0), a_slice("rowlock", 0.0)))], RATE, "casino", "rowlock")
    with pytest.raises(KeyError):
        some_pairs()[0].of("echo")
