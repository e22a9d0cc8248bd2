import pytest

from benchmarks.broadcast_report import BroadcastReport, Side
from benchmarks.compare.fan_out import BARE, DELIVERIES, found_of
from benchmarks.compare.pairing import Spread
from benchmarks.measurements import Quantiles


def side(per_cpu_s: float, lag: Quantiles | None) -> Side:
    return Side(
        seconds=5.0, deliveries=1_000, deliveries_per_s=200.0, deliveries_per_s_max=300.0, ticks=50,
        cpu_s=0.5, deliveries_per_cpu_s=per_cpu_s, lag=lag,
    )  # fmt: skip


def report(casino: float, flooding: float) -> BroadcastReport:
    lag = Quantiles(3.0, 9.0, 20.0)
    return BroadcastReport(
        ok=True, url="", table="main", connections=200, processes=2, tick_bytes=120,
        bare_ticking=side(90.0, lag), bare_flooding=side(flooding, None), casino=side(casino, lag),
        casino_idle_cpu_share=0.0, share=0.8, share_of_ceiling=casino / flooding, listening=200, errors=0,
        reconnects=0,
    )  # fmt: skip


def test_the_ratio_is_of_cpu_time() -> None:
    found = found_of([report(60.0, 100.0), report(80.0, 100.0), report(70.0, 100.0)], 3)
    assert found.values == {DELIVERIES: Spread(0.7, 0.6, 0.8)}
    assert found.pairs[0].of(BARE).figures == {"rate": 100.0}
    shown = {figure.name: figure.value for figure in found.figures}
    assert shown["listeners"] == 200
    assert shown["casino, lag of a tick, p99"] == 9.0
    assert found.notes == []


def test_ended_early() -> None:
    assert "1 of 3" in found_of([report(60.0, 100.0)], 3).notes[0]
    with pytest.raises(ValueError, match="nothing"):
        found_of([], 3)
