"""Numbers and verdicts in words, the same on the terminal, on the page and in the handbook. Pure."""

from __future__ import annotations

from benchmarks.compare.result import Check, Comparison, Figure, Row
from benchmarks.page.chart import number

SYMBOLS = {"ok": "✓", "missed": "✗", "not measured": "–"}


def amount(value: float, unit: str) -> str:
    """``6.2 ×``, ``1,200 /s``, ``0.71``."""
    # Of a ratio below 1, two digits tell too little beside a bound.
    text = f"{value:.3f}".rstrip("0").rstrip(".") if abs(value) < 1 else number(value)
    return f"{text or '0'} {unit}".strip()


def target(check: Check) -> str:
    return f"{check.compare} {amount(check.target, check.unit)}"


def value(check: Check) -> str:
    """With its spread, if it has one."""
    if check.value is None:
        return "–"
    return amount(check.value, check.unit) + _spread(check.low, check.high)


def figure(found: Figure) -> str:
    return amount(found.value, found.unit) + _spread(found.low, found.high)


def verdict(check: Check) -> str:
    """``met``, or by how much it was missed, or that it was not measured."""
    if check.verdict == "ok":
        return "met"
    if check.verdict == "missed":
        return f"missed by {_percent(check.off_by or 0.0)}"
    return "not measured"


def sentence(check: Check) -> str:
    """What came out, and whether that is enough."""
    if check.value is None:
        return f"{check.name}: {verdict(check)}"
    return f"{check.name}: {value(check)}, {verdict(check)}"


def summary(comparison: Comparison) -> str:
    """One line for the whole."""
    checks = [check for row in comparison.rows for check in row.checks]
    met, missed = (sum(check.verdict == which for check in checks) for which in ("ok", "missed"))
    rest = len(checks) - met - missed
    text = f"{met} of {len(checks)} targets met"
    if missed:
        text += f", {missed} missed"
    if rest:
        text += f", {rest} not measured"
    return text


def caveats(comparison: Comparison) -> list[str]:
    """What is to be known before any figure is believed."""
    machine = comparison.machine
    said = []
    if comparison.quick:
        said.append(
            "A quick run: shorter, and with fewer players than the targets mean. It shows that everything "
            "works; its figures are rough."
        )
    if comparison.interrupted:
        said.append("Ended early: what was measured by then is here.")
    if machine.load_before > 0.25 * machine.cores:
        said.append(
            f"The machine was not idle: its load average was {machine.load_before:g} before the run "
            f"began, on {machine.cores} cores. Ratios suffer less from that than absolute figures."
        )
    return said


def why(row: Row) -> list[str]:
    """What a reader must not overlook about a row."""
    return ([f"Not measured: {row.failed}"] if row.failed is not None else []) + list(row.notes)


def duration(seconds: float) -> str:
    minutes, rest = divmod(round(max(0.0, seconds)), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def _spread(low: float | None, high: float | None) -> str:
    if low is None or high is None:
        return ""
    return f" ({amount(low, '')}–{amount(high, '')})"


def _percent(share: float) -> str:
    return "less than 1 %" if share < 0.01 else f"{share:.0%}".replace("%", " %")
