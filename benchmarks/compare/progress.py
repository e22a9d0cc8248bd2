"""How a comparison looks on a terminal while it goes on, and the table at its end."""

from __future__ import annotations

from time import monotonic

from rich.console import Console, Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from benchmarks.compare import wording
from benchmarks.compare.result import Comparison, Row
from benchmarks.compare.run import Progress
from benchmarks.in_place import InPlace

_STYLES = {"ok": "green", "missed": "red", "not measured": "yellow"}


class LiveRows(InPlace):
    """In place on a terminal what is under way; everywhere a line for each row that is over."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self._began = monotonic()

    def show(self, progress: Progress) -> None:
        if self._live is not None:
            self._live.update(self._rendered(progress))

    def done(self, row: Row) -> None:
        said = "; ".join(wording.sentence(check) for check in row.checks)
        text = f"not measured: {row.failed}" if row.failed is not None else said
        self._console.print(f"{row.name}  {text}", markup=False, highlight=False, soft_wrap=True)

    def _rendered(self, progress: Progress) -> RenderableType:
        spent_s = monotonic() - self._began
        head = Text.assemble(
            (progress.row.name, "bold"),
            f"  row {progress.number} of {progress.rows}, about {wording.duration(progress.left_s)} left",
        )
        bar = ProgressBar(max(spent_s + progress.left_s, 1e-9), spent_s, width=60)
        return Group(head, bar, Text(progress.said), Text("Ctrl-C ends it, and keeps what is there", "dim"))


def print_comparison(console: Console, comparison: Comparison) -> None:
    """Every target, then what a reader must not overlook."""
    table = Table("", "target", "measured", "", title="the casino, compared", box=None)
    for row in comparison.rows:
        for check in row.checks:
            table.add_row(
                f"{row.name}: {check.name}",
                wording.target(check),
                wording.value(check),
                Text(f"{wording.SYMBOLS[check.verdict]} {wording.verdict(check)}", _STYLES[check.verdict]),
            )
    console.print(table)
    for text in wording.caveats(comparison):
        console.print(text, style="yellow", markup=False, highlight=False)
    for row in comparison.rows:
        for text in wording.why(row):
            console.print(f"{row.name}: {text}", style="yellow", markup=False, highlight=False)
    console.print(
        f"{wording.summary(comparison)}, in {wording.duration(comparison.seconds)}",
        style="green" if comparison.ok else "red",
        highlight=False,
    )
