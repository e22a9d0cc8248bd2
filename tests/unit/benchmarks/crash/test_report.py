from typing import Any

import pytest

from benchmarks.crash.report import CrashResult, merge_crash
from benchmarks.measurements import Timing


def timing(*times_us: int) -> str:
    found = Timing()
    for time_us in times_us:
        found.record(time_us)
    return found.encoded()


def result(**changes: Any) -> CrashResult:
    fields: dict[str, Any] = dict.fromkeys(CrashResult.__struct_fields__, 0)
    fields |= {name: {} for name in ("errors", "refused", "retried", "violations", "close_codes")}
    fields |= {"rounds": [1, 2], "examples": [], "stopped_ns": 2_000_000_000, "bets": 10}
    fields |= {"lag": timing(1000), "place": timing(), "cash_out": timing()}
    return CrashResult(**(fields | changes))


def test_processes_are_added_up() -> None:
    report = merge_crash(
        "http://h",
        "main",
        4,
        [
            result(deliveries=100, ticks=10, running_ns=1_000_000_000, refused={"round_over": 1}),
            result(
                rounds=[2, 3],
                deliveries=60,
                lag=timing(*[9000] * 9),
                tick_gap_ns_max=250_000_000,
                refused={"round_over": 2},
                examples=["x"],
            ),
        ],
    )
    assert report.ok
    assert (report.rounds, report.bets, report.deliveries, report.deliveries_per_s) == (3, 20, 160, 80.0)
    assert report.ticks_per_s == 10.0
    assert report.tick_lag.p99_ms == pytest.approx(9.0, rel=0.01)
    assert report.place == (0.0, 0.0, 0.0)
    assert report.tick_gap_max_s == 0.25
    assert report.refused == {"round_over": 3}
    assert report.examples == ["x"]


@pytest.mark.parametrize(
    "trouble",
    [
        {"errors": {"internal": 1}},
        {"violations": {"settled twice": 1}},
        {"event_gaps": 1},
        {"event_regressions": 1},
        {"malformed_frames": 1},
        {"unanswered": 1},
        {"bets": 0},
    ],
)
def test_what_fails_a_run(trouble: dict[str, Any]) -> None:
    report = merge_crash("http://h", "main", 1, [result(**trouble)])
    assert not report.ok
    assert len(report.failures) == 1


def test_reconnects_refusals_and_open_bets_do_not() -> None:
    fine = {"reconnects": 3, "resent": 4, "refused": {"betting_closed": 5}, "bets_open": 2}
    assert merge_crash("http://h", "main", 1, [result(**fine)]).ok
