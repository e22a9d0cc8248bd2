"""A comparison as one HTML page that needs nothing else: no script, no font, no file, no network.

Owns the words and the order: the table of targets first, then each row with what was measured, how, and
against what. Everything that comes from outside is escaped.
"""

from __future__ import annotations

from html import escape

from benchmarks.compare import wording
from benchmarks.compare.result import Check, Comparison, Row
from benchmarks.page.comparison_panels import row_panels
from benchmarks.page.panels import rendered
from benchmarks.page.parts import frame, machine_table, table, warning

_CLASSES = {"ok": "good", "missed": "bad", "not measured": "soft"}


def comparison_document(comparison: Comparison) -> str:
    """The whole page, as text for a file in UTF-8."""
    good = "good" if comparison.ok else "bad"
    parts = [
        "<h1>The casino, compared</h1>",
        f'<p class="soft">{escape(comparison.began_at)}, {escape(wording.duration(comparison.seconds))}, '
        f"{comparison.machine.cores} cores</p>",
        '<p class="lead">The casino is a server of games played for virtual gold, which writes every action '
        "to disk before it answers. This page says how fast it is beside other ways to build the same, "
        "beside its own parts alone, and what it costs in memory.</p>",
        f'<p class="verdict {good}">{wording.SYMBOLS["ok" if comparison.ok else "missed"]} '
        f"{escape(wording.summary(comparison))}</p>",
        warning(wording.caveats(comparison)),
        _targets(comparison),
        '<p class="soft">In parentheses: the least and the greatest of the pairs that a median is of. '
        "× means: times as much as what it is compared with.</p>",
        *(_row(row) for row in comparison.rows),
        "<h2>What the servers are</h2>",
        table(("", ""), comparison.servers.items(), numbers_from=9),
        "<h2>How it was measured</h2>",
        *(f"<p>{escape(text)}</p>" for text in _method(comparison)),
        "<h2>The machine</h2>",
        machine_table(comparison.machine),
        "<h2>To repeat it</h2>",
        f"<pre>{escape(comparison.command)}</pre>",
        '<p class="soft">Beside this page: compare.json has every figure.</p>',
    ]
    return frame("The casino, compared", parts)


def _targets(comparison: Comparison) -> str:
    rows = "".join(
        _target(row, index, check) for row in comparison.rows for index, check in enumerate(row.checks)
    )
    return (
        '<div class="card"><table><tr><th>what</th><th></th><th class=n>target</th><th class=n>measured</th>'
        f"<th></th></tr>{rows}</table></div>"
    )


def _target(row: Row, index: int, check: Check) -> str:
    title = f'<a href="#{escape(row.name)}">{escape(row.title)}</a>' if index == 0 else ""
    verdict = f"{wording.SYMBOLS[check.verdict]} {wording.verdict(check)}"
    return (
        f"<tr><td>{title}</td><td>{escape(check.name)}</td><td class=n>{escape(wording.target(check))}</td>"
        f"<td class=n>{escape(wording.value(check))}</td>"
        f'<td class="{_CLASSES[check.verdict]}">{escape(verdict)}</td></tr>'
    )


def _row(row: Row) -> str:
    parts = [
        f'<h2 id="{escape(row.name)}">{escape(row.title)}</h2>',
        f"<p>{escape(row.measured)}</p>",
        f"<p>Compared with {escape(row.against)}</p>",
        *(
            f'<p class="verdict {_CLASSES[check.verdict]}">{wording.SYMBOLS[check.verdict]} '
            f"{escape(wording.sentence(check))} (target {escape(wording.target(check))})</p>"
            for check in row.checks
        ),
        warning(wording.why(row)),
    ]
    panels = row_panels(row)
    if panels:
        parts += ['<div class="panels">', *(rendered(panel) for panel in panels), "</div>"]
    if row.figures:
        parts.append("<h3>Figures</h3>")
        parts.append(table(("", ""), [(figure.name, wording.figure(figure)) for figure in row.figures]))
    return "\n".join(part for part in parts if part)


def _method(comparison: Comparison) -> list[str]:
    texts = [
        "Servers and load generators run on the same machine and share its cores. Each generator is a "
        "process of its own that speaks the protocol of the players' clients. Where two servers are "
        "compared, both are started, and one of them is idle while the other is under load; their "
        "turns are short and alternate. Percentiles are of all latencies, kept in HDR histograms. In a "
        "closed loop a slow server is asked less, which flatters its latency; the rowlock "
        "baseline is given this advantage, too.",
        "Ratios are to be believed more than absolute figures, which are this machine's. Targets are the "
        "project's own; a missed one fails no test, and is told here.",
    ]
    if comparison.settings:
        settings = ", ".join(f"{name}={value}" for name, value in sorted(comparison.settings.items()))
        texts.append(f"The casino's settings are as by default, but for limits on single users: {settings}.")
    return texts
