"""The plots of a result: which there are, what each shows, and what to read from it. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from typing import NamedTuple

from benchmarks.load.commits import Bucket
from benchmarks.load.result import Result, decoded
from benchmarks.page.chart import COLOURS, Format, Series, Ticks, bar_chart, line_chart, number
from benchmarks.scenarios.scenario import Scenario

_ROLES_MAX = 7
_STEPS_PER_DECADE = 24


class Panel(NamedTuple):
    title: str
    caption: str
    legend: Sequence[tuple[str, int]]
    """Names and colours; empty for a single series."""
    chart: str


def milliseconds(value: float) -> str:
    return f"{number(value)} ms" if value < 1000 else f"{number(value / 1000)} s"


def size(value: float) -> str:
    """Bytes, in powers of 1,024."""
    for unit in ("B", "KiB", "MiB"):
        if abs(value) < 1024:
            return f"{number(value)} {unit}"
        value /= 1024
    return f"{number(value)} GiB"


def cores(value: float) -> str:
    return number(value)


def panels(scenario: Scenario, result: Result) -> list[Panel]:
    """Those for which there are data."""
    found = [_latency(result), _percentiles(result), _throughput(scenario, result)]
    if result.samples:
        found.append(
            _by_role(
                result,
                "CPU",
                f"Cores used, by role, of {result.machine.cores}; measured time only.",
                lambda usage: usage[0],
                cores,
            )
        )
        found.append(
            _by_role(
                result,
                "Memory",
                "Resident memory by role. Processes that share memory each count it.",
                lambda usage: usage[1],
                size,
            )
        )
    if result.commits is not None:
        commits = result.commits
        found.append(
            Panel(
                "Commits: batch size",
                f"How many turns one group commit held: {commits.commits:,} commits, "
                f"{number(commits.turns_mean)} turns on average. Bigger batches mean fewer flushes.",
                (),
                bar_chart(
                    "commits by turns", _bars(commits.turns, number), x_name="turns in a commit, up to"
                ),
            )
        )
        found.append(
            Panel(
                "Commits: time in the database",
                f"From sending a batch to its durable commit: {milliseconds(commits.ms_mean)} on average.",
                (),
                bar_chart("commits by time", _bars(commits.ms, number), x_name="ms, up to", colour=1),
            )
        )
    return found


def _latency(result: Result) -> Panel:
    points = result.points
    hover = [
        (
            p.at_s,
            f"{p.at_s:.0f} s: half within {milliseconds(p.p50_ms)}, 99 % within {milliseconds(p.p99_ms)}",
        )
        for p in points
        if p.p50_ms is not None and p.p99_ms is not None
    ]
    times = [time for p in points for time in (p.p50_ms, p.p99_ms) if time]
    # On a linear axis the median would lie on the ground.
    is_wide = bool(times) and max(times) > 20 * min(times)
    return Panel(
        "Latency over time",
        "Of what was due in each second. A stall of the server shows as a peak, because everything that was "
        f"due meanwhile waits.{' The axis is logarithmic.' if is_wide else ''}",
        (("p50: half were faster", 0), ("p99: one in a hundred was slower", 1)),
        line_chart(
            "latency over time",
            [
                Series("p50", [(p.at_s, p.p50_ms) for p in points], 0),
                Series("p99", [(p.at_s, p.p99_ms) for p in points], 1),
            ],
            x_name="seconds",
            x_high=result.plan.measured_s,
            y_format=milliseconds,
            y_log=is_wide,
            hover=hover,
        ),
    )


def _percentiles(result: Result) -> Panel:
    histogram = decoded(result.histogram)
    # The axis is logarithmic in 1 / (1 - p): each further nine gets the same room.
    total = max(histogram.get_total_count(), 1)
    decades = max(1.0, min(5.0, len(str(total)) - 1))
    points, hover = [], []
    for step in range(int(decades * _STEPS_PER_DECADE) + 1):
        at = step / _STEPS_PER_DECADE
        percent = 100 * (1 - 10**-at)
        value = max(histogram.get_value_at_percentile(percent) / 1000, 0.001)
        points.append((at, value))
        hover.append((at, f"{percent:.5g} % within {milliseconds(value)}"))
    ticks = [(0.0, "0 %"), (0.30103, "50 %"), (1.0, "90 %"), (2.0, "99 %"), (3.0, "99.9 %")]
    ticks += [(4.0, "99.99 %"), (5.0, "99.999 %")]
    shown = [(at, label) for at, label in ticks if at <= decades]
    return Panel(
        "Percentiles",
        f"How many of {result.latency.count:,} latencies were within which time; both axes are logarithmic.",
        (),
        line_chart(
            "latency by percentile",
            [Series("latency", points, 0)],
            x_name="share of operations",
            x_ticks=Ticks([at for at, _ in shown], [label for _, label in shown]),
            x_high=decades,
            y_format=milliseconds,
            y_log=True,
            hover=hover,
        ),
    )


def _throughput(scenario: Scenario, result: Result) -> Panel:
    points = result.points
    return Panel(
        "Throughput",
        f"{scenario.counted[0].upper()}{scenario.counted[1:]} per second. Where answers fall behind "
        "arrivals, the server is behind.",
        (("due", 7), ("answered", 2)),
        line_chart(
            "throughput over time",
            [
                Series("due", [(p.at_s, p.arrivals_per_s) for p in points], 7),
                Series("answered", [(p.at_s, p.answers_per_s) for p in points], 2),
            ],
            x_name="seconds",
            x_high=result.plan.measured_s,
            hover=[
                (
                    p.at_s,
                    f"{p.at_s:.0f} s: {p.arrivals_per_s:,.0f} due, {p.answers_per_s:,.0f} answered, "
                    f"{p.failures:,} failed",
                )
                for p in points
            ],
        ),
    )


def _by_role(
    result: Result,
    title: str,
    caption: str,
    value: Callable[[tuple[float, float]], float],
    form: Format,
) -> Panel:
    table: dict[str, list[tuple[float, float]]] = {}
    times = [sample.at_s for sample in result.samples if sample.at_s > 0]
    for sample in result.samples:
        if sample.at_s > 0:
            for usage in sample.usage:
                amount = value((usage.cpu_share, float(usage.resident_bytes)))
                table.setdefault(usage.role, []).append((sample.at_s, amount))
    shown, rest = _roles(result)
    series = [Series(role, table[role], index) for index, role in enumerate(shown) if role in table]
    if rest:
        sums: dict[float, float] = {}
        for role in rest:
            for at, amount in table.get(role, ()):
                sums[at] = sums.get(at, 0.0) + amount
        series.append(Series(f"{len(rest)} others", sorted(sums.items()), COLOURS - 1))
    lines: dict[float, list[str]] = {at: [f"{at:.0f} s"] for at in times}
    for line in series:
        for at, shown_amount in line.points:
            lines[at].append(f"{line.name}: {form(shown_amount or 0.0)}")
    return Panel(
        title,
        caption,
        [(f"{line.name} {form(_mean(line))}", line.colour) for line in series],
        line_chart(
            f"{title} by role over time",
            series,
            x_name="seconds",
            x_high=result.plan.measured_s,
            y_format=form,
            y_base=_base(form, series),
            hover=[(at, "\n".join(lines[at])) for at in times],
        ),
    )


def _roles(result: Result) -> tuple[list[str], list[str]]:
    """Those with a line of their own, the busiest first, in the same colours in every plot; and the rest."""
    used: dict[str, float] = {}
    for sample in result.samples:
        for usage in sample.usage:
            used[usage.role] = used.get(usage.role, 0.0) + (usage.cpu_share if sample.at_s > 0 else 0.0)
    ranked = sorted(used, key=lambda role: (-used[role], role))
    return ranked[:_ROLES_MAX], ranked[_ROLES_MAX:]


def _base(form: Format, series: Sequence[Series]) -> float:
    """Round numbers of bytes are not those of ten."""
    if form is not size:
        return 1.0
    highest = max((value or 0.0 for line in series for _, value in line.points), default=0.0)
    return float(1024**3 if highest >= 1024**3 else 1024**2)


def _mean(line: Series) -> float:
    values = [value for _, value in line.points if value is not None]
    return sum(values) / len(values)


def _bars(buckets: Sequence[Bucket], form: Format) -> list[tuple[str, float]]:
    """From the first bucket that holds something to the last."""
    used = [index for index, bucket in enumerate(buckets) if bucket.count]
    if not used:
        return []
    return [
        ("more" if bucket.to is None else form(bucket.to), float(bucket.count))
        for bucket in buckets[used[0] : used[-1] + 1]
    ]


def rendered(panel: Panel) -> str:
    """As a figure of the page."""
    legend = "".join(f'<span><i class="f{colour}"></i>{escape(name)}</span>' for name, colour in panel.legend)
    return (
        f"<figure><h3>{escape(panel.title)}</h3><figcaption>{escape(panel.caption)}</figcaption>"
        + (f'<div class="legend">{legend}</div>' if legend else "")
        + panel.chart
        + "</figure>"
    )
