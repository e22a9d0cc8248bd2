import io

from rich.console import Console

from benchmarks.bots import Progress
from benchmarks.presentation import LiveProgress, print_report
from benchmarks.report import merge
from tests.unit.benchmarks.test_report import result


def test_a_good_and_a_bad_report() -> None:
    console = Console(file=io.StringIO(), width=120)
    print_report(console, merge("http://h", 2, 1, [result([1500] * 10)]))
    print_report(console, merge("http://h", 2, 1, [result([1500], errors={"internal": 3}, event_gaps=1)]))
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    assert "p50 1.5" in shown
    assert "ok: no errors" in shown
    assert "FAILED: 3 × error internal; 1 × gaps in a player's events" in shown


def test_progress_off_a_terminal_is_a_line_now_and_then() -> None:
    console = Console(file=io.StringIO(), width=200)
    with LiveProgress(console, 5, 60.0, plain_every_s=10.0) as progress:
        progress.show(Progress("signing up", 0, 0, 0, 0, 0, 0, 0, 0))
        for second in range(1, 26):
            progress.show(Progress("playing", second, 1000, 3000, 1.0, 2.0, 0, 0, second * 1000))
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert lines[0] == "signing up: 5 players …"
    assert len(lines) == 3
    assert "1,000 commands/s" in lines[1]


def test_progress_on_a_terminal_is_shown_in_place() -> None:
    console = Console(file=io.StringIO(), width=200, force_terminal=True)
    with LiveProgress(console, 5, 60.0) as progress:
        progress.show(Progress("playing", 1, 1000, 3000, 1.0, 2.0, 0, 0, 1000))
    assert "p99 2.00 ms" in console.file.getvalue()  # type: ignore[attr-defined]
