"""The parts that every page has: its frame, tables, warnings, and the machine. Everything is escaped here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from benchmarks.load.machine import Machine
from benchmarks.page.panels import milliseconds, size
from benchmarks.page.style import STYLE


def frame(title: str, parts: Iterable[str]) -> str:
    """The whole page, as text for a file in UTF-8. ``parts`` are HTML; empty ones are left out."""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head><body><main>"
        + "\n".join(part for part in parts if part)
        + "</main></body></html>\n"
    )


def table(head: Sequence[str], rows: Iterable[Sequence[str]], numbers_from: int = 1) -> str:
    """Cells from the column ``numbers_from`` on stand to the right."""

    def cells(tag: str, row: Sequence[str]) -> str:
        return "".join(
            f"<{tag}{' class=n' if index >= numbers_from else ''}>{escape(cell)}</{tag}>"
            for index, cell in enumerate(row)
        )

    body = "".join(f"<tr>{cells('td', row)}</tr>" for row in rows)
    heading = f"<tr>{cells('th', head)}</tr>" if any(head) else ""
    return f'<div class="card"><table>{heading}{body}</table></div>'


def warning(texts: Sequence[str]) -> str:
    """Nothing, when there is nothing to warn of."""
    if not texts:
        return ""
    return '<div class="warning">' + "".join(f"<p>{escape(text)}</p>" for text in texts) + "</div>"


def machine_table(machine: Machine) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in machine.versions.items())
    rows = [
        ("cores", f"{machine.cores} × {machine.model}"),
        ("memory", size(machine.memory_bytes)),
        ("kernel", machine.kernel),
        (
            "flush to disk",
            f"{milliseconds(machine.flush_p50_ms)} p50, {milliseconds(machine.flush_p99_ms)} p99: 8 KiB "
            f"written and flushed in {machine.flush_where}",
        ),
        ("load average before", f"{machine.load_before:g}"),
        ("versions", versions),
    ]
    return table(("", ""), rows, numbers_from=9)
