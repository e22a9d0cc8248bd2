import pytest

from benchmarks.compare.density import NoGrowth, cost_of_one


def test_what_one_more_session_costs() -> None:
    assert cost_of_one(1_000, 9_000, 4) == 2_000.0


def test_without_growth_nothing_is_said() -> None:
    with pytest.raises(NoGrowth, match="4 sessions"):
        cost_of_one(1_000, 1_000, 4)
