import itertools

import pytest

from benchmarks.load.schedule import (
    Stage,
    arrivals,
    check_rate,
    constant,
    parse_duration,
    parse_rate,
    parse_stages,
    peak,
    time_of,
    total_seconds,
    with_warm_up,
)

MS = 1_000_000


@pytest.mark.parametrize(
    ("text", "seconds"), [("60s", 60), ("2m", 120), ("1h", 3600), ("500ms", 0.5), ("7", 7), ("1.5s", 1.5)]
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "s", "-1s", "0s", "1 day", "1s2m", "25h", "inf"])
def test_no_durations(text: str) -> None:
    with pytest.raises(ValueError, match="duration"):
        parse_duration(text)


@pytest.mark.parametrize(("text", "rate"), [("2000/s", 2000), ("600/m", 10), ("1800/h", 0.5), ("12.5", 12.5)])
def test_rates(text: str, rate: float) -> None:
    assert parse_rate(text) == rate


@pytest.mark.parametrize("text", ["", "0", "0/s", "-5/s", "10/d", "fast", "nan"])
def test_no_rates(text: str) -> None:
    with pytest.raises(ValueError, match="rate"):
        parse_rate(text)


def test_stages_go_on_from_where_the_last_one_ended() -> None:
    assert parse_stages("30s:500,1m:2000/s,10s:0") == (
        Stage(30, 0, 500),
        Stage(60, 500, 2000),
        Stage(10, 2000, 0),
    )
    assert parse_stages("10s:100", rate_begin=100) == constant(100, 10)


@pytest.mark.parametrize("text", ["", "30s", "30s:", ":500", "30s:500,", "0s:5", "30s:0", "30s:x"])
def test_no_stages(text: str) -> None:
    with pytest.raises(ValueError, match=r"stage|duration|rate|arrives"):
        parse_stages(text)


def test_evenly_spaced() -> None:
    assert list(arrivals(constant(100, 0.05))) == [0, 10 * MS, 20 * MS, 30 * MS, 40 * MS]


def test_processes_take_turns_and_leave_nothing_out() -> None:
    stages = parse_stages("3s:70,2s:10", rate_begin=20)
    whole = list(arrivals(stages))
    shares = [list(arrivals(stages, process=process, processes=3)) for process in range(3)]
    assert whole == sorted(itertools.chain(*shares))
    assert len(whole) == 3 * (20 + 70) / 2 + 2 * (70 + 10) / 2


def test_a_ramp_has_its_arrivals_where_the_rate_is() -> None:
    stages = parse_stages("10s:100")
    times = list(arrivals(stages))
    assert len(times) == 500
    assert times == sorted(times)
    # A quarter of the area under a ramp is in its first half.
    assert sum(at < 5_000 * MS for at in times) == 125
    assert time_of(stages, 500) is None


def test_a_pause_has_none() -> None:
    stages = (Stage(1, 10, 10), Stage(5, 0, 0), Stage(1, 10, 10))
    times = list(arrivals(stages))
    assert [at for at in times if 1_000 * MS <= at < 6_000 * MS] == []
    assert len(times) == 20


def test_poisson_is_seeded_and_of_the_rate() -> None:
    stages = constant(1000, 20)
    one = list(arrivals(stages, poisson=True, seed=7))
    assert one == list(arrivals(stages, poisson=True, seed=7))
    assert one != list(arrivals(stages, poisson=True, seed=8))
    # Five standard deviations.
    assert abs(len(one) - 20_000) < 5 * 20_000**0.5
    gaps = [later - earlier for earlier, later in itertools.pairwise(one)]
    mean = sum(gaps) / len(gaps)
    deviation = (sum((gap - mean) ** 2 for gap in gaps) / len(gaps)) ** 0.5
    assert deviation / mean == pytest.approx(1.0, abs=0.1)
    halves = [list(arrivals(stages, poisson=True, seed=7, process=p, processes=2)) for p in range(2)]
    assert abs(len(halves[0]) + len(halves[1]) - 20_000) < 5 * 20_000**0.5
    assert halves[0] != halves[1]


def test_the_warm_up_comes_before() -> None:
    assert with_warm_up(constant(50, 10), 3) == (Stage(3, 50, 50), Stage(10, 50, 50))
    assert with_warm_up(parse_stages("10s:100"), 3)[0] == Stage(3, 10, 10)
    assert with_warm_up(constant(50, 10), 0) == constant(50, 10)
    assert total_seconds(with_warm_up(constant(50, 10), 3)) == 13
    assert peak(parse_stages("1s:5,1s:9,1s:2")) == 9


def test_an_impossible_rate_says_what_is_possible() -> None:
    check_rate(constant(40_000, 1), 2)
    with pytest.raises(ValueError, match="--processes 3"):
        check_rate(constant(50_000, 1), 2)
