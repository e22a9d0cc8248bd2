from random import Random

import msgspec
import pytest

from benchmarks.load.plan import Wishes, plan_of
from benchmarks.load.recorder import Recorder
from benchmarks.load.result import VERSION, Result, check_threshold, decoded, hgrm, merge, verdicts_of
from benchmarks.load.thresholds import parse_threshold
from benchmarks.scenarios.catalogue import SCENARIOS
from tests.unit.benchmarks.load.results import SPIN, a_result, recorded

PLAN = plan_of(SPIN, Wishes(rate=100, duration_s=10, connections=20, processes=2))


def test_percentiles_are_of_all_latencies_and_not_of_the_processes() -> None:
    """One process is fast and busy, one slow and idle: an average of their percentiles would lie."""
    random = Random(1)
    fast = [random.randint(900, 1_100) for _ in range(990)]
    slow = [random.randint(90_000, 110_000) for _ in range(10)]
    merged = merge(SPIN, PLAN, [recorded(fast), recorded(slow)], 10.0)
    alone = merge(SPIN, PLAN, [recorded(fast + slow)], 10.0)
    for percent in (50, 90, 99, 99.5, 100):
        assert merged.histogram.get_value_at_percentile(percent) == alone.histogram.get_value_at_percentile(
            percent
        )
    assert merged.histogram.get_value_at_percentile(98.9) < 1_200
    assert merged.histogram.get_value_at_percentile(99.5) > 89_000
    assert (merged.answers, merged.figures["rate"]) == (1_000, 100.0)


def test_points_are_of_all_processes_too() -> None:
    merged = merge(SPIN, PLAN, [recorded([1_000] * 100), recorded([3_000] * 300)], 10.0)
    assert len(merged.points) == 10
    assert {point.answers_per_s for point in merged.points} == {40.0}
    assert merged.points[0].p50_ms == pytest.approx(3.0, rel=0.01)
    shortened = merge(SPIN, PLAN, [recorded([1_000] * 100), recorded([3_000] * 300)], 2.5)
    assert [point.at_s for point in shortened.points] == [0.5, 1.5, 2.25]


def test_what_was_never_answered_is_lost() -> None:
    recorder = Recorder(0, 10)
    for at_s in range(10):
        recorder.arrived(at_s * 10**9)
    recorder.answered("spin", 0, 10**6)
    recorder.failed("internal", 10**9)
    result = recorded([], arrivals=10, answers=1, errors={"internal": 1}, slices=recorder.slices())
    merged = merge(SPIN, PLAN, [result], 10.0)
    assert (merged.lost, merged.errors) == (8, {"internal": 1})
    assert merged.figures["error_rate"] == 0.9


def test_nothing_at_all_is_no_success() -> None:
    merged = merge(SPIN, PLAN, [recorded([])], 10.0)
    verdicts = verdicts_of([parse_threshold(text) for text in ("error_rate<1", "p(99)<50")], merged)
    assert [verdict.ok for verdict in verdicts] == [False, False]


def test_a_scenarios_own_figures() -> None:
    resume = SCENARIOS["resume"]
    parts = [
        recorded([], figures={"storms": 2, "all_live_ms": 50.0, "missing": 1}),
        recorded([], figures={"storms": 3, "all_live_ms": 40.0, "missing": 2}),
    ]
    figures = merge(resume, PLAN, parts, 10.0).figures
    assert (figures["storms"], figures["all_live_ms"], figures["missing"]) == (3, 50.0, 3)
    assert "snapshots" not in figures


def test_ticks_are_no_operations_where_there_are_others() -> None:
    recorder = Recorder(0, 10)
    recorder.answered("bet", 0, 5_000_000)
    recorder.heard("tick", {1_000: 99}, 0, is_apart=True)
    kinds = {kind: timing.encoded() for kind, timing in recorder.kinds.items()}
    merged = merge(SCENARIOS["crash"], PLAN, [recorded([], kinds=kinds)], 10.0)
    assert merged.histogram.get_total_count() == 1
    assert merged.kinds["tick"].get_total_count() == 99


def test_a_misspelt_figure_is_found_before_the_run() -> None:
    check_threshold(parse_threshold("spin:p(99)<5"), SPIN)
    check_threshold(parse_threshold("missing==0"), SCENARIOS["resume"])
    with pytest.raises(ValueError, match="error_rate"):
        check_threshold(parse_threshold("eror_rate<0.1"), SPIN)
    with pytest.raises(ValueError, match="kinds spin"):
        check_threshold(parse_threshold("spinn:p(99)<5"), SPIN)
    with pytest.raises(ValueError, match="no figure 'missing'"):
        check_threshold(parse_threshold("missing==0"), SPIN)


def test_the_file_can_be_read_again() -> None:
    result = a_result()
    again = msgspec.json.decode(msgspec.json.encode(result), type=Result)
    assert again == result
    assert again.version == VERSION
    assert decoded(again.histogram).get_total_count() == 1_000


def test_hgrm_is_what_plotters_read() -> None:
    text = hgrm(decoded(a_result().histogram))
    assert text.split()[:4] == ["Value", "Percentile", "TotalCount", "1/(1-Percentile)"]
    last = text[: text.index("#[Mean")].splitlines()[-1].split()
    assert (float(last[1]), int(last[2])) == (1.0, 1_000)
    assert float(last[0]) == pytest.approx(a_result().latency.max_ms, rel=0.01)
