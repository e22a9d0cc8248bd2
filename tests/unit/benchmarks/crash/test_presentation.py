import io

from rich.console import Console

from benchmarks.crash.presentation import print_crash_report, print_watch_report
from benchmarks.crash.report import merge_crash
from benchmarks.crash.watch_report import merge_watch
from tests.unit.benchmarks.crash import test_report, test_watch_report


def shown(print_it: object, report: object) -> str:
    console = Console(file=io.StringIO(), width=140)
    print_it(console, report)  # type: ignore[operator]
    text: str = console.file.getvalue()  # type: ignore[attr-defined]
    return text


def test_a_good_run() -> None:
    text = shown(
        print_crash_report,
        merge_crash("http://h", "main", 2, [test_report.result(refused={"round_over": 7})]),
    )
    assert "ok: no errors, every bet settled once" in text
    assert "round_over 7" in text
    assert "tick lag (ms)" in text


def test_a_bad_run_shows_examples() -> None:
    bad = test_report.result(violations={"settled twice": 2}, examples=["settled twice: [u_1]: round 3"])
    text = shown(print_crash_report, merge_crash("http://h", "main", 2, [bad]))
    assert "FAILED: 2 × settled twice" in text
    assert "settled twice: [u_1]: round 3" in text


def test_watchers() -> None:
    assert "ok: every watcher" in shown(
        print_watch_report, merge_watch("http://h", "main", 10, 55.0, [test_watch_report.result()])
    )
    assert "FAILED: 5 watchers lost" in shown(
        print_watch_report, merge_watch("http://h", "main", 15, 55.0, [test_watch_report.result()])
    )
