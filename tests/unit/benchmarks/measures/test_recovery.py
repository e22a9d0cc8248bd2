import pytest

from benchmarks.measures.recovery import concluded, quantile, recovery


def test_nearest_rank() -> None:
    assert quantile([5.0], 0.5) == 5.0
    assert quantile([4.0, 1.0, 3.0, 2.0], 0.5) == 2.0
    assert quantile([4.0, 1.0, 3.0, 2.0], 0.51) == 3.0
    hundred = [float(number) for number in range(1, 101)]
    assert (quantile(hundred, 0.5), quantile(hundred, 0.99), quantile(hundred, 1.0)) == (50.0, 99.0, 100.0)


def test_who_lived_elsewhere_does_not_make_the_median_better() -> None:
    found = concluded({"a": 0.01, "b": 0.02, "c": 0.03, "d": 1.5, "e": 1.7}, {"d", "e"})
    assert (found.sessions, found.host_sessions) == (5, 2)
    assert (found.first_answer_p50_s, found.first_answer_p99_s, found.all_answered_s) == (1.5, 1.7, 1.7)


def test_the_last_answer_may_be_of_somebody_else() -> None:
    assert concluded({"a": 3.0, "b": 1.0}, {"b"}).all_answered_s == 3.0


@pytest.mark.parametrize("wrong", [{"sessions": 0}, {"sessions": 50_000}, {"hosts": 0}])
async def test_numbers_that_make_no_sense(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        await recovery(lambda line: None, **wrong)
