"""A result as one HTML page that needs nothing else: no script, no font, no file, no network.

Owns the words and the order: first what came out, then why it is to be believed. Everything that comes
from outside is escaped.
"""

from __future__ import annotations

from html import escape

from benchmarks.load.result import Latency, Result
from benchmarks.page.chart import number
from benchmarks.page.panels import milliseconds, panels, rendered, size
from benchmarks.page.parts import frame, machine_table, table, warning
from benchmarks.scenarios.scenario import Scenario


def document(scenario: Scenario, result: Result) -> str:
    """The whole page, as text for a file in UTF-8."""
    subject = result.subject
    title = f"{result.scenario} against {subject.name}"
    parts = [
        f"<h1>{escape(_heading(scenario, result))}</h1>",
        f'<p class="soft">{escape(subject.name)} at {escape(subject.url)}, {escape(result.began_at)}</p>',
        f'<p class="lead">{escape(_lead(scenario, result))}</p>',
        _verdict(result),
        _warnings(result),
        _tiles(scenario, result),
        '<h2>Over time and by share</h2><div class="panels">',
        *(rendered(panel) for panel in panels(scenario, result)),
        "</div>",
        _missing_panels(result),
        "<h2>Latencies by kind</h2>",
        _kinds(result),
        _figures(scenario, result),
        "<h2>Thresholds</h2>",
        _thresholds(result),
        _memory(result),
        "<h2>What was measured, and how</h2>",
        f"<p>{escape(scenario.measured)}</p>",
        *(f"<p>{escape(text)}</p>" for text in _method(scenario, result)),
        "<h2>The machine</h2>",
        machine_table(result.machine),
        "<h2>To repeat it</h2>",
        f"<pre>{escape(result.command)}</pre>",
        '<p class="soft">Beside this page: result.json has every figure, latency.hgrm the percentiles for '
        "HdrHistogram's plotters.</p>",
    ]
    return frame(title, parts)


def _heading(scenario: Scenario, result: Result) -> str:
    plan = result.plan
    if plan.is_closed:
        return f"{result.scenario}: {plan.connections:,} connections in a closed loop"
    if scenario.holds:
        return f"{result.scenario}: {plan.connections:,} connections opened and held"
    if plan.stages:
        last = plan.stages[-1]
        level = last.rate_begin == last.rate_end
        rate = f"{number(last.rate_end)} {scenario.arrival}/s"
        return (
            f"{result.scenario}: {rate}" if level else f"{result.scenario}: in stages up to {_peak(result)}/s"
        )
    return f"{result.scenario}: {plan.connections:,} connections"


def _peak(result: Result) -> str:
    return number(max(max(stage.rate_begin, stage.rate_end) for stage in result.plan.stages))


def _lead(scenario: Scenario, result: Result) -> str:
    latency = result.latency
    failed = sum(result.errors.values()) + result.lost
    if not latency.count:
        return f"Nothing was answered: {failed:,} of {result.arrivals:,} {scenario.counted} failed."
    return (
        f"{result.answers:,} {scenario.counted} were answered, {number(result.figures['rate'])} a second, "
        f"{scenario.crowd.format(result.plan.connections)}. Half of them took at most "
        f"{milliseconds(latency.p50_ms)}, 99 % at most {milliseconds(latency.p99_ms)}, the slowest "
        f"{milliseconds(latency.max_ms)}. " + (f"{failed:,} failed." if failed else "None failed.")
    )


def _verdict(result: Result) -> str:
    if result.ok:
        return '<p class="verdict good">✓ Every threshold holds.</p>'
    crossed = ", ".join(verdict.threshold for verdict in result.verdicts if not verdict.ok)
    return f'<p class="verdict bad">✗ Crossed: {escape(crossed)}</p>'


def _warnings(result: Result) -> str:
    found = [
        f"Generator saturated, so that these figures are a lower bound of what the server can do: {reason}."
        for reason in result.generator.saturated
    ]
    if result.interrupted:
        found.append("Interrupted: the run is shorter than it was meant to be.")
    if result.machine.load_before > 0.25 * result.machine.cores:
        found.append(
            f"The machine was not idle: its load average was {result.machine.load_before:g} before the run "
            f"began, on {result.machine.cores} cores."
        )
    return warning(found)


def _tiles(scenario: Scenario, result: Result) -> str:
    latency = result.latency
    tiles = [
        (number(result.figures["rate"]), f"{scenario.counted} per second"),
        (milliseconds(latency.p50_ms), "p50"),
        (milliseconds(latency.p99_ms), "p99"),
        (milliseconds(latency.p999_ms), "p99.9"),
        (milliseconds(latency.max_ms), "slowest"),
        (f"{sum(result.errors.values()) + result.lost:,}", "failed or lost"),
    ]
    return (
        '<div class="tiles">'
        + "".join(f'<div class="tile"><b>{escape(v)}</b><span>{escape(n)}</span></div>' for v, n in tiles)
        + "</div>"
    )


def _missing_panels(result: Result) -> str:
    missing = []
    if not result.samples:
        missing.append("CPU and memory, because the server's processes cannot be seen from here")
    if result.commits is None:
        missing.append("commits, because the server told nothing of any")
    return f'<p class="soft">Left out: {escape("; ".join(missing))}.</p>' if missing else ""


def _kinds(result: Result) -> str:
    def row(name: str, latency: Latency) -> list[str]:
        times = (
            latency.avg_ms,
            latency.p50_ms,
            latency.p90_ms,
            latency.p99_ms,
            latency.p999_ms,
            latency.max_ms,
        )
        return [name, f"{latency.count:,}", *(milliseconds(time) for time in times)]

    rows = [row(kind, latency) for kind, latency in result.kinds.items()]
    if len(rows) > 1:
        rows.append(row("all operations", result.latency))
    return table(("", "count", "average", "p50", "p90", "p99", "p99.9", "slowest"), rows)


def _figures(scenario: Scenario, result: Result) -> str:
    rows = []
    for figure in scenario.figures:
        if figure.name in result.figures:
            value = result.figures[figure.name]
            shown = size(value) if figure.unit == "B" else f"{number(value)} {figure.unit}".strip()
            rows.append((figure.meaning, shown))
    rows += [(f"error: {code}", f"{count:,}") for code, count in sorted(result.errors.items())]
    rows += [(f"repeated after: {code}", f"{count:,}") for code, count in sorted(result.retried.items())]
    return "<h2>Figures of this scenario</h2>" + table(("", ""), rows) if rows else ""


def _thresholds(result: Result) -> str:
    rows = "".join(
        f"<tr><td><code>{escape(verdict.threshold)}</code></td><td class=n>"
        f"{'no such figure' if verdict.value is None else escape(number(verdict.value))}</td>"
        f'<td class="{"good" if verdict.ok else "bad"}">{"✓ holds" if verdict.ok else "✗ crossed"}</td></tr>'
        for verdict in result.verdicts
    )
    return (
        '<div class="card"><table><tr><th>threshold</th><th class=n>was</th><th></th></tr>'
        + rows
        + "</table></div>"
    )


def _memory(result: Result) -> str:
    if not result.memory_after:
        return ""
    rows = []
    for role, after in sorted(result.memory_after.items(), key=lambda item: -item[1]):
        before = result.memory_before.get(role, 0)
        rows.append(
            (role, size(before), size(after), f"{'+' if after >= before else '−'}{size(abs(after - before))}")
        )
    return "<h2>Private memory by role</h2>" + table(
        ("", "before the load", "at its end", "difference"), rows
    )


def _method(scenario: Scenario, result: Result) -> list[str]:
    plan, generator = result.plan, result.generator
    spread = f"{plan.processes} process{'es' if plan.processes > 1 else ''} of load generators"
    where = (
        "on the same machine as the server, so that both share its cores"
        if result.subject.is_local
        else "on another machine than the server, or at least not known to be on the same"
    )
    if plan.is_closed:
        pace = (
            f"A closed loop: {plan.connections:,} connections, each with one command in flight; the next "
            "follows the answer. A slow server is asked less, so these latencies flatter it; the throughput "
            "is its own."
        )
    elif plan.stages:
        spacing = "at random (a Poisson process)" if plan.poisson else "evenly spaced"
        pace = (
            f"An open model: {scenario.arrival} arrive {spacing}, whether or not earlier ones have been "
            "answered, and each latency counts from when it was due, not from when it could be sent. So "
            "waiting is never hidden (no coordinated omission)."
        )
    else:
        pace = "The pace is the scenario's own, as described above."
    late = generator.late
    share = (
        f"The generators used at most {generator.cpu_share_max:.0%} of a core each, and began what was due "
        f"{milliseconds(late.p50_ms)} late in the middle and {milliseconds(late.p99_ms)} in the 99th "
        "percentile, which is part of every latency."
    )
    texts = [
        f"{pace} {spread[0].upper()}{spread[1:]}, {where}; {plan.warm_up_s:g} s of warm-up were not counted, "
        f"then {plan.measured_s:g} s were. Every latency is kept, in an HDR histogram with three significant "
        "digits.",
        share,
    ]
    if result.subject.settings:
        settings = ", ".join(f"{name}={value}" for name, value in sorted(result.subject.settings.items()))
        texts.append(
            "The server was started for this run alone, with settings as by default except limits on single "
            f"users and addresses, of which there are few here: {settings}."
        )
    return texts
