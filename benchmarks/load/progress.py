"""How a run looks on a terminal while it goes on, and what is printed at its end."""

from __future__ import annotations

from rich.console import Console, Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from benchmarks.in_place import InPlace
from benchmarks.load.plan import Plan
from benchmarks.load.result import Latency, Result
from benchmarks.load.run import Moment
from benchmarks.load.saturation import CPU_SHARE_MAX, LATE_MS_MAX
from benchmarks.scenarios.scenario import Scenario


class LiveMoment(InPlace):
    """In place on a terminal; elsewhere silent, because scripts read the result."""

    def __init__(self, console: Console, scenario: Scenario, plan: Plan) -> None:
        super().__init__(console)
        self._scenario = scenario
        self._plan = plan

    def say(self, text: str) -> None:
        """Before the generators begin."""
        if self._live is not None:
            self._live.update(Text(text))

    def show(self, moment: Moment) -> None:
        if self._live is not None:
            self._live.update(self._rendered(moment))

    def _rendered(self, moment: Moment) -> RenderableType:
        plan = self._plan
        head = Text.assemble(
            (plan.scenario, "bold"), f"  {moment.phase}, {moment.left_s:.0f} s left", style="default"
        )
        figures = Text.assemble(
            f"{moment.rate:8,.0f} {self._scenario.counted}/s   ",
            f"p50 {moment.p50_ms:,.2f} ms   p99 {moment.p99_ms:,.2f} ms   ",
            (f"errors {moment.failures:,}", "red" if moment.failures else ""),
            f"   in flight {moment.in_flight:,}   connections {moment.connections:,}",
        )
        is_late = moment.late_ms > LATE_MS_MAX or moment.cpu_share > CPU_SHARE_MAX
        generator = Text(
            f"generator: CPU {moment.cpu_share:.0%}, late by {moment.late_ms:.2f} ms (p99)",
            style="yellow" if is_late else "dim",
        )
        return Group(
            head, ProgressBar(plan.total_s, min(moment.elapsed_s, plan.total_s), width=60), figures, generator
        )


def print_result(console: Console, scenario: Scenario, result: Result) -> None:
    """The figures, the thresholds, and what a reader must not overlook."""
    title = f"{result.scenario} against {result.subject.name} at {result.subject.url}"
    table = Table("", "count", "avg ms", "p50", "p90", "p99", "p99.9", "max", title=title, box=None)
    for kind, latency in result.kinds.items():
        table.add_row(kind, *_row(latency))
    if len(result.kinds) > 1:
        table.add_row("all operations", *_row(result.latency), style="bold")
    console.print(table)
    console.print(
        f"{result.figures['rate']:,.1f} {scenario.counted}/s in {result.plan.measured_s:g} s, "
        f"{scenario.crowd.format(result.plan.connections)}, {result.plan.processes} generator process(es); "
        f"{sum(result.errors.values()):,} errors, {result.lost:,} lost",
        highlight=False,
    )
    for figure in scenario.figures:
        if figure.name in result.figures:
            value = f"{result.figures[figure.name]:,.3f}".rstrip("0").rstrip(".")
            console.print(f"{figure.name} = {value} {figure.unit}  ({figure.meaning})", highlight=False)
    if result.errors:
        console.print("errors: " + ", ".join(f"{code} {count:,}" for code, count in result.errors.items()))
    for reason in result.generator.saturated:
        console.print(f"generator saturated, the figures are a lower bound: {reason}", style="yellow")
    for verdict in result.verdicts:
        value = "no such figure in this run" if verdict.value is None else f"{verdict.value:,.4g}"
        mark, style = ("✓", "green") if verdict.ok else ("✗", "red")
        console.print(f"{mark} {verdict.threshold}  ({value})", style=style, markup=False, highlight=False)


def _row(latency: Latency) -> list[str]:
    times = (latency.avg_ms, latency.p50_ms, latency.p90_ms, latency.p99_ms, latency.p999_ms, latency.max_ms)
    return [f"{latency.count:,}", *(f"{time:,.2f}" for time in times)]
