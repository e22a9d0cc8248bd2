import pytest

from benchmarks.measurements import Measurements, Stall, Timing, common_stalls, quantiles_of

MS = 1_000_000


def test_acknowledgements_latencies_and_seconds() -> None:
    found = Measurements()
    found.start(0)
    for number in range(100):
        found.acknowledge(number * MS, (number + 1) * 1000)
    second = found.roll(events=300)
    assert (second.commands, second.events) == (100, 300)
    assert (second.p50_ms, second.p99_ms) == (50.0, 99.0)
    assert found.roll(events=310) == (0, 10, 0.0, 0.0)
    assert found.histogram.get_total_count() == 100
    assert found.histogram.get_value_at_percentile(50) == pytest.approx(50_000, rel=0.01)


def test_only_long_pauses_are_stalls_and_the_end_counts() -> None:
    found = Measurements()
    found.start(0)
    found.acknowledge(10 * MS, 1)
    found.acknowledge(210 * MS, 1)
    found.acknowledge(220 * MS, 1)
    found.finish(500 * MS)
    assert found.stalls == [Stall(10 * MS, 210 * MS), Stall(220 * MS, 500 * MS)]


def test_latencies_out_of_range_are_kept_at_its_edge() -> None:
    found = Measurements()
    found.acknowledge(0, 0)
    found.acknowledge(0, 10**12)
    found.roll(0)
    assert found.histogram.get_total_count() == 2


def test_processes_stall_together_only_when_all_do() -> None:
    assert common_stalls([]) == []
    assert common_stalls([[Stall(5, 6), Stall(1, 3)]]) == [Stall(1, 3), Stall(5, 6)]
    left = [Stall(0, 10), Stall(20, 30), Stall(40, 50)]
    right = [Stall(5, 25), Stall(29, 45)]
    assert common_stalls([left, right]) == [Stall(5, 10), Stall(20, 25), Stall(29, 30), Stall(40, 45)]
    assert common_stalls([left, right, []]) == []


def test_times_are_folded_taken_and_merged() -> None:
    one, other = Timing(), Timing()
    assert quantiles_of([one.encoded(), other.encoded()]) == (0.0, 0.0, 0.0)
    for time_us in (1000, 2000, 3000):
        one.record(time_us)
    assert one.fold() == (2.0, 3.0, 3.0)
    assert one.fold() == (0.0, 0.0, 0.0)
    other.record(9000)
    taken = quantiles_of([other.take()])
    assert taken.max_ms == pytest.approx(9.0, rel=0.01)
    assert quantiles_of([other.take()]) == (0.0, 0.0, 0.0)
    merged = quantiles_of([one.encoded(), other.encoded()])
    assert merged.p50_ms == pytest.approx(2.0, rel=0.01)
    assert merged.max_ms == pytest.approx(9.0, rel=0.01)
