import pytest

from benchmarks.page.panels import milliseconds, panels, size
from tests.unit.benchmarks.load.results import SPIN, a_result


def titles(**more: object) -> list[str]:
    return [panel.title for panel in panels(SPIN, a_result(**more))]


def test_what_is_not_known_is_not_plotted() -> None:
    always = ["Latency over time", "Percentiles", "Throughput"]
    assert titles(samples=[], commits=None) == always
    assert titles(commits=None) == [*always, "CPU", "Memory"]
    assert titles() == [*always, "CPU", "Memory", "Commits: batch size", "Commits: time in the database"]


def test_a_role_has_the_same_colour_in_every_plot() -> None:
    by_title = {panel.title: panel for panel in panels(SPIN, a_result())}
    colours = [
        {name.split(" ")[0]: colour for name, colour in by_title[title].legend} for title in ("CPU", "Memory")
    ]
    assert colours[0] == colours[1]
    assert len(colours[0]) == 2


@pytest.mark.parametrize(("value", "text"), [(0.25, "0.25 ms"), (12.0, "12 ms"), (2_500.0, "2.5 s")])
def test_times(value: float, text: str) -> None:
    assert milliseconds(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(512, "512 B"), (2048, "2 KiB"), (3 * 2**20, "3 MiB"), (2**31, "2 GiB")]
)
def test_sizes(value: float, text: str) -> None:
    assert size(value) == text
