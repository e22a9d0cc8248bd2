from benchmarks.compare.pairing import P99, RATE, Pair, Spread
from benchmarks.compare.spins import found_of
from tests.unit.benchmarks.compare.comparisons import a_slice, some_pairs

AIMS = {"spins": RATE, "slowest": P99}


def test_ratios_and_figures_of_the_slices() -> None:
    found = found_of(some_pairs(), "casino", "rowlock", AIMS, 3, {"Python": "3.11"})
    assert found.values == {"spins": Spread(6.0, 5.0, 7.0), "slowest": Spread(0.05, 0.04, 0.1)}
    assert [figure.name for figure in found.figures] == [
        "casino, spins",
        "casino, p50",
        "casino, p99",
        "rowlock, spins",
        "rowlock, p50",
        "rowlock, p99",
    ]
    assert found.notes == []
    assert found.versions == {"Python": "3.11"}


def test_what_a_reader_must_not_overlook() -> None:
    limited = a_slice("casino", 9.0, limited_by=["generator process 0 in 2 of 2 s"])
    failed = a_slice("rowlock", 3.0)
    failed.figures["failures"] = 7.0
    found = found_of([Pair((limited, failed))], "casino", "rowlock", AIMS, 4, {})
    early, generator, failures = found.notes
    assert "after 1 of 4 pairs" in early
    assert "1 of 1 slices of casino" in generator
    assert "generator process 0" in generator
    assert "7 spins failed at rowlock" in failures
