"""How a run of bots looks on a terminal: a live line while it runs, a table at the end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from benchmarks.bots import Progress
from benchmarks.in_place import InPlace
from benchmarks.report import BotReport


class LiveLine(InPlace):
    """Shows a line in place on a terminal; elsewhere plainly, every ``plain_every_s``."""

    def __init__(self, console: Console, plain_every_s: float = 10.0) -> None:
        super().__init__(console)
        self._plain_every_s = plain_every_s
        self._next_plain_s = 0.0

    def show_line(self, elapsed_s: float, text: str) -> None:
        """Called about once a second."""
        if self._live is not None:
            self._live.update(Text(text))
        elif elapsed_s >= self._next_plain_s:
            self._next_plain_s = elapsed_s + self._plain_every_s
            self._console.print(text, markup=False, highlight=False)


class LiveProgress(LiveLine):
    """The progress of a run of slots."""

    def __init__(
        self, console: Console, players: int, duration_s: float, plain_every_s: float = 10.0
    ) -> None:
        super().__init__(console, plain_every_s)
        self._players = players
        self._duration_s = duration_s

    def show(self, progress: Progress) -> None:
        """Called about once a second."""
        self.show_line(progress.elapsed_s, self._text(progress))

    def _text(self, progress: Progress) -> str:
        if progress.phase != "playing":
            return f"{progress.phase}: {self._players} players …"
        return (
            f"{progress.elapsed_s:5.0f}/{self._duration_s:.0f} s  "
            f"{progress.commands_per_s:8,.0f} commands/s  {progress.events_per_s:9,.0f} events/s  "
            f"p50 {progress.p50_ms:.2f} ms  p99 {progress.p99_ms:.2f} ms  "
            f"errors {progress.errors}  reconnects {progress.reconnects}"
        )


def print_report(console: Console, report: BotReport) -> None:
    """The figures, then whether the run passes and why not."""
    latency = report.latency
    rows = [
        ("players", f"{report.players} in {report.processes} process(es), {report.depth} in flight each"),
        ("time", f"{report.duration_s:.1f} s"),
        ("acknowledged", f"{report.commands:,} commands, {report.commands_per_s:,.0f}/s"),
        ("events", f"{report.events:,}, {report.events_per_s:,.0f}/s"),
        (
            "latency (ms)",
            f"p50 {latency.p50_ms:.2f}  p90 {latency.p90_ms:.2f}  p99 {latency.p99_ms:.2f}  "
            f"p99.9 {latency.p999_ms:.2f}  max {latency.max_ms:.2f}",
        ),
        ("reconnects", f"{report.reconnects}, {report.resumes_asked_for} of them on purpose"),
        ("resent", f"{report.resent} commands under their ids; {report.answers_unmatched} answered twice"),
        (
            "events in order",
            f"{report.event_gaps} gaps, {report.event_duplicates} duplicates dropped, "
            f"{report.event_regressions} regressions",
        ),
        ("recovery time", f"{report.recovery_s:.2f} s without any acknowledgement, at most"),
        (
            "longest wait",
            f"per bot: median {report.bot_stall_p50_s:.2f} s  p99 {report.bot_stall_p99_s:.2f} s  "
            f"max {report.bot_stall_max_s:.2f} s",
        ),
    ]
    rows += counted(
        {
            "errors": report.errors,
            "refused by the rules": report.refused,
            "retried": report.retried,
            "close codes": report.close_codes,
        }
    )
    if report.unsupported:
        rows.append(("not on this server", ", ".join(report.unsupported)))
    if report.players_broke:
        rows.append(("broke", f"{report.players_broke} players, replaced by new guests"))
    print_rows(console, rows)
    print_verdict(console, report.failures, "no errors, no event missing, every command answered")


def counted(counts: Mapping[str, Mapping[str, int]]) -> list[tuple[str, str]]:
    """A row for each of these that counted anything."""
    return [
        (name, ", ".join(f"{code} {count}" for code, count in found.items()))
        for name, found in counts.items()
        if found
    ]


def print_rows(console: Console, rows: Sequence[tuple[str, str]]) -> None:
    """Names and values, in two columns."""
    table = Table(show_header=False, box=None, padding=(0, 2))
    for name, value in rows:
        table.add_row(name, value)
    console.print(table)


def print_verdict(console: Console, failures: Sequence[str], fine: str) -> None:
    """Whether the run passes, and why (not)."""
    if failures:
        console.print("FAILED: " + "; ".join(failures), style="red", markup=False)
    else:
        console.print(f"ok: {fine}", style="green", markup=False)
