"""The plots of a comparison's row: servers side by side, and their turns one by one. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import median

from benchmarks.compare.pairing import P99, RATE, Pair
from benchmarks.compare.result import Bars, Curve, Row
from benchmarks.compare.wording import amount
from benchmarks.page.chart import Format, Series, Ticks, bar_chart, line_chart, log_ticks, number
from benchmarks.page.panels import Panel, milliseconds

_JOIN = 7
_COST = "deliveries per second of CPU time"


def row_panels(row: Row) -> list[Panel]:
    """Those for which there are data."""
    found = []
    if row.pairs and len(row.servers) == 2:
        spins = all(P99 in taken.figures for pair in row.pairs for taken in pair.slices)
        rate = "spins per second" if spins else _COST
        found.append(_servers(row, RATE, rate, number, "More is better."))
        found.append(_pairs(row, RATE, rate, number))
        if spins:
            time = "99 of 100 spins take at most"
            found.append(_servers(row, P99, time, milliseconds, "Less is better."))
            found.append(_pairs(row, P99, time, milliseconds))
    found += [_bars(bars) for bars in row.bars]
    found += [_curve(curve) for curve in row.curves]
    return found


def _values(pairs: Sequence[Pair], server: str, name: str) -> list[float]:
    return [pair.of(server).figures[name] for pair in pairs]


def _servers(row: Row, name: str, what: str, form: Format, better: str) -> Panel:
    heights = [(server, float(median(_values(row.pairs, server, name)))) for server in row.servers]
    return Panel(
        what[0].upper() + what[1:],
        f"The median of {len(row.pairs)} turn{'s' if len(row.pairs) > 1 else ''} of each. {better}",
        (),
        bar_chart(
            f"{what}, by server",
            [(f"{server}: {form(height)}", height) for server, height in heights],
            x_name="",
            y_format=form,
            colour=range(len(heights)),
        ),
    )


def _pairs(row: Row, name: str, what: str, form: Format) -> Panel:
    ours, other = row.servers
    series, hover = [], []
    times = []
    for number_, pair in enumerate(row.pairs, start=1):
        at = float(number_)
        values = [pair.of(server).figures[name] for server in (ours, other)]
        times.append(values[0] / values[1] if values[1] else 0.0)
        # What joins the two lies below their points.
        series.append(Series("pair", [(at, values[0]), (at, values[1])], _JOIN))
        series += [
            Series(server, [(at, value)], colour)
            for colour, (server, value) in enumerate(zip((ours, other), values, strict=True))
        ]
        first = pair.slices[0].server
        hover.append(
            (
                at,
                f"pair {number_}: {ours} {form(values[0])}, {other} {form(values[1])}, "
                f"{amount(times[-1], '×')}; {first} was first",
            )
        )
    wide = _is_wide([value for line in series for _, value in line.points if value])
    return Panel(
        f"{what[0].upper()}{what[1:]}, turn by turn",
        "Two points on a line were measured one right after the other; the ratio is taken within each: "
        + ", ".join(amount(ratio, "×") for ratio in times)
        + "."
        + (" The axis is logarithmic." if wide else ""),
        ((ours, 0), (other, 1)),
        line_chart(
            f"{what}, by server and pair",
            series,
            x_name="pair",
            x_ticks=Ticks(
                [float(at) for at in range(1, len(row.pairs) + 1)],
                [str(at) for at in range(1, len(row.pairs) + 1)],
            ),
            x_high=len(row.pairs) + 0.5,
            y_format=form,
            y_log=wide,
            hover=hover,
        ),
    )


def _bars(bars: Bars) -> Panel:
    unit = bars.figures[0].unit if bars.figures else ""
    form = _form(unit)
    return Panel(
        bars.title,
        "Each measured alone.",
        (),
        bar_chart(
            bars.title,
            [(f"{figure.name}", figure.value) for figure in bars.figures],
            x_name="",
            y_format=form,
        ),
    )


def _curve(curve: Curve) -> Panel:
    names = list(dict.fromkeys(point.series for point in curve.points))
    sizes = sorted({point.size for point in curve.points})
    # Sizes go up by factors: each has the same room.
    place = {size: float(index + 1) for index, size in enumerate(sizes)}
    form = _form(curve.unit)
    return Panel(
        curve.title,
        f"By {curve.size}.",
        [(name, colour) for colour, name in enumerate(names)],
        line_chart(
            curve.title,
            [
                Series(
                    name,
                    sorted(
                        (place[point.size], point.value) for point in curve.points if point.series == name
                    ),
                    colour,
                )
                for colour, name in enumerate(names)
            ],
            x_name=curve.size,
            x_ticks=Ticks([place[size] for size in sizes], [f"{size:,}" for size in sizes]),
            x_high=len(sizes) + 0.5,
            y_format=form,
            hover=[
                (
                    place[size],
                    "\n".join(
                        f"{point.series}, {size:,}: {form(point.value)}"
                        for point in curve.points
                        if point.size == size
                    ),
                )
                for size in sizes
            ],
        ),
    )


def _form(unit: str) -> Callable[[float], str]:
    return milliseconds if unit == "ms" else lambda value: f"{number(value)} {unit}".strip()


def _is_wide(values: Sequence[float]) -> bool:
    """Whether the lesser would lie on the ground of a linear axis."""
    return (
        bool(values)
        and min(values) > 0
        and len(log_ticks(min(values), max(values))) > 1
        and (max(values) > 20 * min(values))
    )
