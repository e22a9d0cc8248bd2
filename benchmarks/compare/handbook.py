"""The generated part of ``docs/benchmarks.md``: the table of a comparison, between two comments.

Pure but for :func:`write_docs`.
"""

from __future__ import annotations

from pathlib import Path

from benchmarks.compare import wording
from benchmarks.compare.result import Comparison, Row
from benchmarks.page.chart import number
from benchmarks.page.panels import milliseconds, size

BEGIN = "<!-- compare: written by 'casino bench compare --write-docs', do not edit by hand -->"
END = "<!-- compare: end -->"


def check_docs(path: Path) -> None:
    """Before a quarter of an hour of measuring: raises what :func:`write_docs` would."""
    _around(path.read_text())


def write_docs(path: Path, comparison: Comparison) -> None:
    """Replaces what stands between the two comments.

    Raises:
        OSError: the file cannot be read or written.
        ValueError: it has no such comments.
    """
    path.write_text(with_section(path.read_text(), comparison))


def with_section(text: str, comparison: Comparison) -> str:
    """Raises ``ValueError`` when ``text`` does not have each comment once, in their order."""
    before, after = _around(text)
    return f"{before}{BEGIN}\n\n{section(comparison)}\n{END}{after}"


def _around(text: str) -> tuple[str, str]:
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end or BEGIN in rest or END in before + after:
        raise ValueError(f"there must be one line {BEGIN!r} and, below it, one line {END!r}")
    return before, after


def section(comparison: Comparison) -> str:
    """In Markdown."""
    machine = comparison.machine
    lines = [
        f"Measured on {comparison.began_at[:10]} with `{comparison.command}`, in "
        f"{wording.duration(comparison.seconds)}: **{wording.summary(comparison)}**.",
        "",
        *(f"> {text}\n" for text in wording.caveats(comparison)),
        "| what | target | measured | |",
        "|---|---|---|---|",
    ]
    for row in comparison.rows:
        lines += _rows(row)
    lines += [
        "",
        "In parentheses: the least and the greatest of the pairs that a median is of.",
        "",
        "### What each row is",
        "",
    ]
    for row in comparison.rows:
        lines += _explained(row)
    versions = ", ".join(f"{name} {version}" for name, version in machine.versions.items())
    lines += [
        "### On what",
        "",
        f"{machine.cores} × {machine.model}, {size(machine.memory_bytes)} of memory, Linux "
        f"{machine.kernel}; servers and load generators share them. A flush to disk takes "
        f"{milliseconds(machine.flush_p50_ms)} (p50), {milliseconds(machine.flush_p99_ms)} (p99). "
        f"Load average before: {number(machine.load_before)}. {versions}.",
        "",
    ]
    return "\n".join(lines)


def _rows(row: Row) -> list[str]:
    return [
        "| "
        + " | ".join(
            _cell(text)
            for text in (
                f"**{row.title}**: {check.name}" if index == 0 else check.name,
                wording.target(check),
                wording.value(check),
                f"{wording.SYMBOLS[check.verdict]} {wording.verdict(check)}",
            )
        )
        + " |"
        for index, check in enumerate(row.checks)
    ]


def _explained(row: Row) -> list[str]:
    lines = [f"**{row.title}.** {row.measured} Compared with {row.against}", ""]
    if row.figures:
        figures = "; ".join(f"{figure.name} {wording.figure(figure)}" for figure in row.figures)
        lines += [f"{figures}.", ""]
    for text in wording.why(row):
        lines += [f"> {' '.join(text.split())}", ""]
    return lines


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
