import io

from rich.console import Console

from benchmarks.broadcast_report import BroadcastReport, Side, print_broadcast
from benchmarks.measurements import Quantiles


def side(deliveries: int, ticks: int = 10) -> Side:
    return Side(
        seconds=1.0,
        deliveries=deliveries,
        deliveries_per_s=deliveries,
        deliveries_per_s_max=deliveries,
        ticks=ticks,
        cpu_s=1.0,
        deliveries_per_cpu_s=deliveries,
        lag=Quantiles(1.25, 2.5, 3.75) if ticks else None,
    )


def report(casino: Side, listening: int = 7, errors: int = 0, bare: int = 200) -> BroadcastReport:
    return BroadcastReport(
        ok=False, url="http://h", table="main", connections=7, processes=1, tick_bytes=108,
        bare_ticking=side(bare), bare_flooding=side(bare, ticks=0), casino=casino,
        casino_idle_cpu_share=0.01, share=0.6, share_of_ceiling=0.5, listening=listening, errors=errors,
        reconnects=0,
    )  # fmt: skip


def test_the_table_on_the_terminal() -> None:
    console = Console(file=io.StringIO(), width=120)
    print_broadcast(console, report(side(120)))
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    assert "60% of a bare server that ticks" in " ".join(shown.split())
    assert "–" in shown
    assert "ok: every watcher" in shown


def test_what_fails_it() -> None:
    assert report(side(120)).failures == []
    assert len(report(side(120, ticks=0)).failures) == 1
    assert len(report(side(120), listening=6).failures) == 1
    assert len(report(side(120), errors=2).failures) == 1
    assert len(report(side(120), bare=0).failures) == 1
