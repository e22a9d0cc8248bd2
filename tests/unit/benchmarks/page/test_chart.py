import re
import xml.etree.ElementTree as ET

import pytest

from benchmarks.page.chart import (
    HEIGHT,
    WIDTH,
    Series,
    Ticks,
    bar_chart,
    line_chart,
    log_ticks,
    nice_ticks,
    number,
)


@pytest.mark.parametrize(
    ("high", "ticks"),
    [
        (0, [0, 1]),
        (1, [0, 0.25, 0.5, 0.75, 1]),
        (7, [0, 2, 4, 6, 8]),
        (100, [0, 25, 50, 75, 100]),
        (1_900, [0, 500, 1_000, 1_500, 2_000]),
    ],
)
def test_ticks_are_round_and_reach_the_highest(high: float, ticks: list[float]) -> None:
    assert nice_ticks(high) == pytest.approx(ticks)


def test_ticks_of_another_base() -> None:
    assert nice_ticks(3 * 1024, base=1024) == [0, 1024, 2048, 3072]


def test_logarithmic_ticks_enclose_the_values() -> None:
    assert log_ticks(0.3, 4_000) == pytest.approx([0.1, 1, 10, 100, 1_000, 10_000])
    assert log_ticks(2, 7) == pytest.approx([1, 2, 5, 10])
    assert log_ticks(5, 5)[-1] > log_ticks(5, 5)[0]


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (1_234.5, "1,234"), (12.34, "12.3"), (2.0, "2"), (0.5, "0.5"), (0.0421, "0.042")],
)
def test_numbers_have_as_few_digits_as_tell(value: float, text: str) -> None:
    assert number(value) == text


def marks(svg: str) -> list[tuple[float, float]]:
    """Every point of every line."""
    ET.fromstring(svg)
    paths = re.findall(r' d="([^"]+)"', svg)
    return [(float(x), float(y)) for path in paths for x, y in re.findall(r"[ML]([\d.]+) ([\d.]+)", path)]


@pytest.mark.parametrize("is_log", [False, True])
def test_every_point_is_inside_and_higher_values_are_higher(is_log: bool) -> None:
    values = [0.5, 3.0, 80.0, 1_000.0]
    svg = line_chart("l", [Series("a", list(enumerate(values)), 0)], x_name="s", y_log=is_log)
    points = marks(svg)
    assert len(points) == 4
    assert all(0 < x < WIDTH and 0 < y < HEIGHT for x, y in points)
    assert [y for _, y in points] == sorted((y for _, y in points), reverse=True)


def test_a_gap_breaks_the_line_and_a_single_point_is_seen() -> None:
    gap = line_chart("l", [Series("a", [(0, 1.0), (1, 2.0), (2, None), (3, 4.0), (4, 5.0)], 0)], x_name="s")
    assert gap.count("M") == 2
    assert "<circle" in line_chart("l", [Series("a", [(0, 1.0)], 0)], x_name="s")


def test_nothing_measured_is_said() -> None:
    assert "nothing was measured" in line_chart("l", [Series("a", [(0, None)], 0)], x_name="s")
    assert "nothing was measured" in bar_chart("l", [("a", 0.0)], x_name="s")


def test_names_from_outside_are_escaped() -> None:
    bad = '<script>"&'
    charts = [
        line_chart(
            bad,
            [Series(bad, [(0, 1.0), (1, 2.0)], 0)],
            x_name=bad,
            x_ticks=Ticks([0], [bad]),
            hover=[(0, bad)],
        ),
        bar_chart(bad, [(bad, 1.0)], x_name=bad),
    ]
    for svg in charts:
        assert "<script>" not in svg
        ET.fromstring(svg)
