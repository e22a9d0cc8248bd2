from typing import Any

import pytest

from benchmarks.crash.watch_report import merge_watch
from benchmarks.crash.watchers import WatchResult
from tests.unit.benchmarks.crash.test_report import timing


def result(**changes: Any) -> WatchResult:
    fields: dict[str, Any] = dict.fromkeys(WatchResult.__struct_fields__, 0)
    fields |= {"errors": {}, "retried": {}, "close_codes": {}, "stopped_ns": 2_000_000_000}
    fields |= {"deliveries": 110, "ticks": 10, "tick_deliveries": 100, "running_ns": 1_000_000_000}
    fields |= {"listening": 10, "lag": timing(2000)}
    return WatchResult(**(fields | changes))


def test_processes_are_added_up() -> None:
    report = merge_watch("http://h", "main", 20, 90.0, [result(), result(tick_deliveries=90)])
    assert report.ok
    assert (report.deliveries, report.deliveries_per_s, report.deliveries_per_s_max) == (220, 110.0, 90.0)
    assert (report.ticks_per_s, report.ticks_complete, report.listening) == (10.0, 0.95, 20)
    assert report.tick_lag.p50_ms == pytest.approx(2.0, rel=0.01)


@pytest.mark.parametrize(
    "trouble",
    [{"errors": {"internal": 1}}, {"malformed_frames": 1}, {"listening": 9}, {"ticks": 0}],
)
def test_what_fails_a_run(trouble: dict[str, Any]) -> None:
    report = merge_watch("http://h", "main", 10, 0.0, [result(**trouble)])
    assert not report.ok
    assert len(report.failures) == 1
