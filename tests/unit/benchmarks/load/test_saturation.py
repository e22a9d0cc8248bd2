import pytest

from benchmarks.load.saturation import GeneratorSecond, saturation

FINE = GeneratorSecond(0.4, 0.05, 0.4)


@pytest.mark.parametrize("second", [GeneratorSecond(0.97, 0.1, 1.0), GeneratorSecond(0.3, 2.0, 45.0)])
def test_no_cpu_left_or_late(second: GeneratorSecond) -> None:
    assert second.is_saturated
    assert not FINE.is_saturated
    reasons = saturation([[FINE] * 10, [FINE] * 8 + [second] * 2])
    assert len(reasons) == 1
    assert reasons[0].startswith("generator process 1 in 2 of 10 s")


def test_a_hiccup_is_none() -> None:
    late = GeneratorSecond(0.3, 0.1, 45.0)
    assert saturation([[FINE] * 19 + [late]]) == []
    assert saturation([[FINE] * 18 + [late] * 2]) != []
    assert saturation([[]]) == []


def test_what_was_given_up_is_said_in_any_case() -> None:
    assert saturation([[FINE]], given_up=1_200) == [
        "1,200 arrivals given up, because they could not be begun in time"
    ]
