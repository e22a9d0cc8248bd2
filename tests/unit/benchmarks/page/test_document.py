import re
from html.parser import HTMLParser

import msgspec
import pytest

from benchmarks.load.result import Subject
from benchmarks.load.thresholds import Verdict
from benchmarks.page.document import document
from benchmarks.scenarios.catalogue import SCENARIOS
from tests.unit.benchmarks.load.results import SPIN, a_result


class Balanced(HTMLParser):
    """Fails on a tag that is not closed where it should be."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: object) -> None:
        """Closed by itself."""

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def read(page: str) -> str:
    parser = Balanced()
    parser.feed(page)
    assert parser.open == []
    return parser.text


def test_it_says_what_came_out_and_how() -> None:
    text = read(document(SPIN, a_result()))
    for said in (
        "1,000 commands were answered, 100 a second, over 20 connections.",
        "None failed.",
        "Every threshold holds.",
        "no coordinated omission",
        "1 s of warm-up",
        "on the same machine as the server",
        "casino bench spin",
        "2 × a CPU",
        SPIN.measured,
    ):
        assert said in text
    assert "saturated" not in text


def test_it_needs_nothing_from_anywhere() -> None:
    page = document(SPIN, a_result())
    assert not re.search(r"<(script|link|img|iframe|object|embed)\b|@import|url\(", page)
    assert not re.search(r"(src|href)\s*=", page)


def test_everything_from_outside_is_escaped() -> None:
    bad = '<script>alert("1")</script>&'
    result = a_result(
        command=bad,
        subject=Subject(bad, f"http://{bad}", False, {bad: bad}),
        errors={bad: 3},
        retried={bad: 1},
        began_at=bad,
        memory_after={bad: 7},
        verdicts=[Verdict(bad, None, False)],
        ok=False,
    )
    result = msgspec.structs.replace(
        result,
        machine=msgspec.structs.replace(
            result.machine, model=bad, kernel=bad, flush_where=bad, versions={bad: bad}
        ),
        generator=msgspec.structs.replace(result.generator, saturated=[bad]),
        kinds={bad: result.latency},
    )
    page = document(SPIN, result)
    assert "<script" not in page
    text = read(page)
    assert text.count(bad) > 10


def test_what_must_not_be_overlooked() -> None:
    result = a_result(
        interrupted=True, ok=False, verdicts=[Verdict("p(99)<1", 20.0, False)], samples=[], commits=None
    )
    result = msgspec.structs.replace(
        result,
        machine=msgspec.structs.replace(result.machine, load_before=3.0),
        generator=msgspec.structs.replace(result.generator, saturated=["process 0 in 3 of 10 s"]),
    )
    text = read(document(SPIN, result))
    for said in (
        "Generator saturated",
        "process 0 in 3 of 10 s",
        "Interrupted",
        "not idle",
        "Crossed: p(99)<1",
        "the server's processes cannot be seen",
        "the server told nothing of any",
    ):
        assert said in text


@pytest.mark.parametrize("name", SCENARIOS)
def test_every_scenario_has_a_page(name: str) -> None:
    result = a_result()
    plan = msgspec.structs.replace(result.plan, stages=(), is_closed=name == "spin")
    text = read(document(SCENARIOS[name], msgspec.structs.replace(result, scenario=name, plan=plan)))
    assert SCENARIOS[name].measured in text
