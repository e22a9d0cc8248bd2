from benchmarks.compare.pairing import RATE, Pair, Slice
from benchmarks.page.comparison_panels import row_panels
from tests.unit.benchmarks.compare.comparisons import a_comparison, a_row, a_slice


def test_servers_and_their_turns() -> None:
    panels = row_panels(a_row())
    assert [panel.title for panel in panels] == [
        "Spins per second",
        "Spins per second, turn by turn",
        "99 of 100 spins take at most",
        "99 of 100 spins take at most, turn by turn",
    ]
    assert "casino: 6,000" in panels[0].chart
    assert "5 ×, 7 ×, 6 ×" in panels[1].caption
    assert panels[1].chart.count("<circle") == 6, "a point for each turn"
    assert "rowlock was first" in panels[1].chart


def test_a_row_without_latencies_has_no_plot_of_them() -> None:
    pair = Pair((Slice("casino", {RATE: 5.0}), Slice("bare", {RATE: 7.0})))
    panels = row_panels(a_row(servers=["casino", "bare"], pairs=[pair]))
    assert [panel.title for panel in panels] == [
        "Deliveries per second of CPU time",
        "Deliveries per second of CPU time, turn by turn",
    ]


def test_factors_apart_are_drawn_on_a_logarithmic_axis() -> None:
    pair = Pair((a_slice("casino", 90_000.0), a_slice("rowlock", 1_000.0)))
    assert "logarithmic" in row_panels(a_row(pairs=[pair]))[1].caption


def test_curves_and_bars() -> None:
    bars, curve = row_panels(a_comparison().rows[1])
    assert "commit: 0.2 ms" in bars.chart
    assert "4 hosts, 1,000: 25 µs" in curve.chart
    assert curve.legend == [("1 host", 0), ("4 hosts", 1)]


def test_nothing_measured_nothing_drawn() -> None:
    assert row_panels(a_comparison().rows[2]) == []
