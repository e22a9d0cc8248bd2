"""How the reports of Crash bots and watchers look on a terminal."""

from __future__ import annotations

from rich.console import Console

from benchmarks.crash.report import CrashReport
from benchmarks.crash.watch_report import WatchReport
from benchmarks.measurements import Quantiles
from benchmarks.presentation import counted, print_rows, print_verdict

_EXAMPLES_SHOWN = 5


def quantiles_text(quantiles: Quantiles) -> str:
    return f"p50 {quantiles.p50_ms:.2f}  p99 {quantiles.p99_ms:.2f}  max {quantiles.max_ms:.2f}"


def print_crash_report(console: Console, report: CrashReport) -> None:
    """The figures, then whether the run passes and why not."""
    rows = [
        ("players", f"{report.players} in {report.processes} process(es), table {report.table}"),
        ("time", f"{report.duration_s:.1f} s"),
        ("rounds", f"{report.rounds}, verified {report.rounds_verified:,} times"),
        (
            "bets",
            f"{report.bets:,} taken, {report.cash_outs:,} cashed out by hand, {report.settled:,} settled, "
            f"{report.bets_open:,} open with their rounds",
        ),
        ("deliveries", f"{report.deliveries:,}, {report.deliveries_per_s:,.0f}/s"),
        (
            "ticks",
            f"{report.ticks_per_s:.1f}/s in a running round, {report.tick_deliveries_per_s:,.0f}/s "
            f"delivered, longest silence {report.tick_gap_max_s:.2f} s",
        ),
        ("tick lag (ms)", quantiles_text(report.tick_lag)),
        ("bet (ms)", quantiles_text(report.place)),
        ("cash-out (ms)", quantiles_text(report.cash_out)),
        ("reconnects", f"{report.reconnects}, {report.resumes_asked_for} of them on purpose"),
        ("resent", f"{report.resent} commands under their ids; {report.answers_unmatched} answered twice"),
        (
            "events in order",
            f"{report.event_gaps} gaps, {report.event_duplicates} duplicates dropped, "
            f"{report.event_regressions} regressions",
        ),
    ]
    rows += counted(
        {
            "errors": report.errors,
            "violations": report.violations,
            "refused by the rules": report.refused,
            "retried": report.retried,
            "close codes": report.close_codes,
        }
    )
    if report.players_broke:
        rows.append(("broke", f"{report.players_broke} players, who only watch now"))
    print_rows(console, rows)
    for example in report.examples[:_EXAMPLES_SHOWN]:
        console.print(f"  {example}", style="red", markup=False, highlight=False)
    print_verdict(
        console,
        report.failures,
        "no errors, every bet settled once and rightly, every round verified",
    )


def print_watch_report(console: Console, report: WatchReport) -> None:
    """The figures, then whether the run passes and why not."""
    rows = [
        (
            "watchers",
            f"{report.watchers:,} in {report.processes} process(es), {report.listening:,} at the end, "
            f"table {report.table}",
        ),
        ("time", f"{report.duration_s:.1f} s"),
        (
            "deliveries",
            f"{report.deliveries:,}, {report.deliveries_per_s:,.0f}/s, "
            f"{report.deliveries_per_s_max:,.0f} in the best second",
        ),
        (
            "ticks",
            f"{report.ticks_per_s:.1f}/s in a running round, {report.ticks_complete:.2%} arrived, "
            f"longest silence {report.tick_gap_max_s:.2f} s",
        ),
        ("tick lag (ms)", quantiles_text(report.tick_lag)),
        ("reconnects", f"{report.reconnects}"),
    ]
    rows += counted({"errors": report.errors, "retried": report.retried, "close codes": report.close_codes})
    print_rows(console, rows)
    print_verdict(console, report.failures, "every watcher heard its table")
