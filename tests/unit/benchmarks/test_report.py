from typing import Any

import pytest

from benchmarks.measurements import Measurements, Stall
from benchmarks.report import CrowdResult, merge


def result(latencies_us: list[int], **changes: Any) -> CrowdResult:
    found = Measurements()
    for latency in latencies_us:
        found.acknowledge(0, latency)
    found.roll(0)
    fields: dict[str, Any] = dict.fromkeys(CrowdResult.__struct_fields__, 0)
    fields |= {name: {} for name in ("errors", "refused", "retried", "unsupported", "close_codes")}
    fields |= {
        "began_ns": 0,
        "stopped_ns": 2_000_000_000,
        "commands": len(latencies_us),
        "acknowledged": len(latencies_us),
        "histogram": found.histogram.encode().decode(),
        "stalls": [],
        "bot_stalls_s": [],
    }
    return CrowdResult(**(fields | changes))


def test_processes_are_added_up() -> None:
    report = merge(
        "http://h",
        4,
        1,
        [
            result([1000] * 90, refused={"a": 1}, stalls=[Stall(10, 2_000_000_010)], bot_stalls_s=[1.0, 2.0]),
            result(
                [9000] * 10, refused={"a": 2, "b": 1}, stalls=[Stall(0, 1_500_000_000)], bot_stalls_s=[0.5]
            ),
        ],
    )
    assert report.ok
    assert (report.commands, report.commands_per_s) == (100, 50.0)
    assert report.latency.p50_ms == pytest.approx(1.0, rel=0.01)
    assert report.latency.p99_ms == pytest.approx(9.0, rel=0.01)
    assert report.latency.max_ms == pytest.approx(9.0, rel=0.01)
    assert report.refused == {"a": 3, "b": 1}
    assert report.recovery_s == 1.5
    assert (report.bot_stall_p50_s, report.bot_stall_max_s) == (1.0, 2.0)


@pytest.mark.parametrize(
    "trouble",
    [
        {"errors": {"internal": 1}},
        {"event_gaps": 1},
        {"event_regressions": 1},
        {"malformed_frames": 1},
        {"unanswered": 1},
        {"acknowledged": 0},
    ],
)
def test_what_fails_a_run(trouble: dict[str, Any]) -> None:
    report = merge("http://h", 1, 1, [result([1000], **trouble)])
    assert not report.ok
    assert len(report.failures) == 1


def test_reconnects_resends_and_duplicates_do_not_fail_a_run() -> None:
    fine = {"reconnects": 3, "resent": 4, "event_duplicates": 5, "retried": {"overloaded": 2}}
    assert merge("http://h", 1, 1, [result([1000], **fine)]).ok
