from io import StringIO

from rich.console import Console

from benchmarks.compare.progress import LiveRows, print_comparison
from benchmarks.compare.run import Progress
from tests.unit.benchmarks.compare.comparisons import a_comparison
from tests.unit.benchmarks.compare.test_run import a_spec, gives


def test_where_nobody_looks_on_only_rows_that_are_over_are_told() -> None:
    text = StringIO()
    with LiveRows(Console(file=text, width=200)) as live:
        live.show(Progress(a_spec("one", gives(1.0)), 1, 1, "starting", 60.0))
        for row in a_comparison().rows:
            live.done(row)
    spins, growth, recovery = text.getvalue().splitlines()
    assert spins == ("spin-500  spins per second: 6 × (5–7), met; slowest spins: 0.05 × (0.04–0.1), met")
    assert "missed by 25 %" in growth
    assert recovery == "recovery  not measured: the casino did not start"


def test_on_a_terminal_the_time_left_is_told() -> None:
    text = StringIO()
    with LiveRows(Console(file=text, width=200, force_terminal=True)) as live:
        live.show(Progress(a_spec("one", gives(1.0)), 2, 9, "casino, 5,000/s", 125.0))
    assert "row 2 of 9, about 2 min 5 s left" in text.getvalue()
    assert "casino, 5,000/s" in text.getvalue()


def test_the_table_at_the_end() -> None:
    text = StringIO()
    print_comparison(Console(file=text, width=200), a_comparison(interrupted=True))
    for said in (
        "✓ met",
        "✗ missed by 25 %",
        "– not measured",
        "recovery: Not measured: the casino did not start",
        "growth: Something was odd.",
        "Ended early",
        "2 of 4 targets met, 1 missed, 1 not measured, in 12 min 34 s",
    ):
        assert said in text.getvalue()
