"""Line and bar charts as inline SVG, for light and dark pages, readable without a script.

Owns scales, ticks and marks; colours are the page's, by the classes ``c0`` … ``c7``. All text is escaped
here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from html import escape
from typing import NamedTuple

WIDTH, HEIGHT = 560, 230
LEFT, RIGHT, TOP, BOTTOM = 62, 14, 12, 34
COLOURS = 8

Format = Callable[[float], str]


class Series(NamedTuple):
    """A line. ``points`` are (x, y) in order; a y of None breaks it."""

    name: str
    points: Sequence[tuple[float, float | None]]
    colour: int


class Ticks(NamedTuple):
    """Where an axis is marked, and how."""

    at: Sequence[float]
    labels: Sequence[str]


class _Scale(NamedTuple):
    low: float
    high: float
    begin: float
    end: float
    is_log: bool

    def __call__(self, value: float) -> float:
        low, high = self.low, self.high
        if self.is_log:
            value, low, high = math.log10(max(value, low)), math.log10(low), math.log10(high)
        share = (value - low) / (high - low) if high > low else 0.5
        return self.begin + share * (self.end - self.begin)


def nice_ticks(high: float, wanted: int = 4, base: float = 1.0) -> list[float]:
    """From 0 to at least ``high`` in steps of 1, 2, 2.5 or 5 times a power of ten, of ``base``."""
    if high <= 0 or not math.isfinite(high):
        return [0.0, base]
    high /= base
    rough = high / wanted
    magnitude = 10.0 ** math.floor(math.log10(rough))
    step = next(m * magnitude for m in (1.0, 2.0, 2.5, 5.0, 10.0) if m * magnitude >= rough * 0.999)
    return [base * step * number for number in range(math.ceil(high / step * 0.999) + 1)]


def log_ticks(low: float, high: float) -> list[float]:
    """Powers of ten around the values, with 2 and 5 between them where there are few."""
    first = math.floor(math.log10(max(low, 1e-6)))
    last = max(first + 1, math.ceil(math.log10(max(high, 1e-6))))
    steps: tuple[float, ...] = (1.0, 2.0, 5.0) if last - first <= 2 else (1.0,)
    return [step * 10.0**power for power in range(first, last) for step in steps] + [10.0**last]


def number(value: float) -> str:
    """As few digits as tell: 1,200 · 12.5 · 0.08."""
    if value == 0:
        return "0"
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2 if abs(value) >= 0.1 else 3
    text = f"{value:,.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def line_chart(
    label: str,
    series: Sequence[Series],
    *,
    x_name: str,
    x_ticks: Ticks | None = None,
    x_high: float | None = None,
    y_format: Format = number,
    y_log: bool = False,
    y_base: float = 1.0,
    hover: Sequence[tuple[float, str]] = (),
) -> str:
    """``label`` describes it to who cannot see it. ``hover``: at an x, what to say, in ascending order;
    each covers the way to its neighbours. ``y_base``: what the ticks are round numbers of."""
    values = [y for line in series for _, y in line.points if y is not None]
    if not values:
        return _empty(label)
    if y_log:
        y_at = log_ticks(min(v for v in values if v > 0) if max(values) > 0 else 1.0, max(values))
        y = _Scale(y_at[0], y_at[-1], HEIGHT - BOTTOM, TOP, True)
    else:
        y_at = nice_ticks(max(values), base=y_base)
        y = _Scale(0.0, y_at[-1], HEIGHT - BOTTOM, TOP, False)
    last = max(x for line in series for x, _ in line.points)
    if x_ticks is None:
        at = nice_ticks(x_high or last, 6)
        x_ticks = Ticks(at, [number(value) for value in at])
    x = _Scale(0.0, max(x_high or last, 1e-9), LEFT, WIDTH - RIGHT, False)
    parts = [_y_axis(y, y_at, y_format), _x_axis(x, x_ticks, x_name)]
    for line in series:
        parts.append(_path(line, x, y))
    parts += _hovers(x, hover)
    return _svg(label, parts)


def bar_chart(
    label: str,
    bars: Sequence[tuple[str, float]],
    *,
    x_name: str,
    y_format: Format = number,
    colour: int | Sequence[int] = 0,
) -> str:
    """``bars`` have a name below and a height; ``colour`` is of all, or one for each."""
    if not bars or not any(height for _, height in bars):
        return _empty(label)
    y_at = nice_ticks(max(height for _, height in bars))
    y = _Scale(0.0, y_at[-1], HEIGHT - BOTTOM, TOP, False)
    room = (WIDTH - LEFT - RIGHT) / len(bars)
    parts = [_y_axis(y, y_at, y_format)]
    colours = [colour] * len(bars) if isinstance(colour, int) else colour
    for index, (name, height) in enumerate(bars):
        left, top = LEFT + room * index, y(height)
        middle = left + room / 2
        parts.append(
            f"<g><title>{escape(name)}: {escape(y_format(height))}</title>"
            f'<rect class="bar f{colours[index] % COLOURS}" x="{left + room * 0.12:.1f}" y="{top:.1f}" '
            f'width="{room * 0.76:.1f}" height="{max(0.0, HEIGHT - BOTTOM - top):.1f}"/></g>'
            + _text(middle, HEIGHT - BOTTOM + 14, name)
        )
    parts.append(_name(x_name))
    return _svg(label, parts)


def _svg(label: str, parts: Sequence[str]) -> str:
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(label)}">'
        + "".join(parts)
        + "</svg>"
    )


def _empty(label: str) -> str:
    return _svg(
        f"{label}: nothing was measured",
        [_text(WIDTH / 2, HEIGHT / 2, "nothing was measured")],
    )


def _y_axis(y: _Scale, at: Sequence[float], form: Format) -> str:
    return "".join(
        f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(value):.1f}" y2="{y(value):.1f}"/>'
        + _text(LEFT - 6, y(value) + 3.5, form(value), "end")
        for value in at
    )


def _x_axis(x: _Scale, ticks: Ticks, name: str) -> str:
    marks = "".join(
        # At the right edge there is no room beyond the mark.
        _text(x(value), HEIGHT - BOTTOM + 14, text, "end" if x(value) > WIDTH - RIGHT - 12 else "middle")
        for value, text in zip(ticks.at, ticks.labels, strict=True)
        if x.low <= value <= x.high * 1.0001
    )
    return marks + _name(name)


def _name(text: str) -> str:
    return _text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 4, text)


def _text(x: float, y: float, text: str, anchor: str = "middle") -> str:
    return f'<text class="tick" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _path(line: Series, x: _Scale, y: _Scale) -> str:
    commands, is_down, drawn = [], False, 0
    for at, value in line.points:
        if value is None:
            is_down = False
            continue
        commands.append(f"{'L' if is_down else 'M'}{x(at):.1f} {y(value):.1f}")
        is_down, drawn = True, drawn + 1
    if drawn == 1:
        # A line of one point would not be seen.
        at, value = next((at, value) for at, value in line.points if value is not None)
        return f'<circle class="f{line.colour % COLOURS}" cx="{x(at):.1f}" cy="{y(value):.1f}" r="3"/>'
    return f'<path class="line c{line.colour % COLOURS}" d="{"".join(commands)}"/>'


def _hovers(x: _Scale, hover: Sequence[tuple[float, str]]) -> list[str]:
    parts = []
    for index, (at, text) in enumerate(hover):
        before = x(hover[index - 1][0]) if index else LEFT
        after = x(hover[index + 1][0]) if index + 1 < len(hover) else WIDTH - RIGHT
        left, right = (before + x(at)) / 2, (after + x(at)) / 2
        parts.append(
            f'<g class="hover"><title>{escape(text)}</title><rect x="{left:.1f}" y="{TOP}" '
            f'width="{max(right - left, 0.5):.1f}" height="{HEIGHT - TOP - BOTTOM}"/>'
            f'<line x1="{x(at):.1f}" x2="{x(at):.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/></g>'
        )
    return parts
