import re

from benchmarks.compare import wording
from benchmarks.page.comparison import comparison_document
from tests.unit.benchmarks.compare.comparisons import a_comparison, a_row
from tests.unit.benchmarks.page.test_document import read


def test_it_says_what_the_json_says() -> None:
    comparison = a_comparison()
    text = read(comparison_document(comparison))
    for row in comparison.rows:
        for said in (row.title, row.measured, row.against, *row.notes, row.failed or ""):
            assert said in text
        for check in row.checks:
            for said in (check.name, wording.target(check), wording.value(check), wording.verdict(check)):
                assert said in text
        for figure in row.figures:
            assert figure.name in text
            assert wording.figure(figure) in text
    for said in (comparison.command, comparison.began_at, wording.summary(comparison), "2 × a CPU"):
        assert said in text
    for name, what in comparison.servers.items():
        assert f"{name}{what}" in text


def test_the_table_of_targets_comes_first() -> None:
    page = comparison_document(a_comparison())
    assert page.index("<table>") < page.index("<h2")
    assert page.index("missed by 25 %") < page.index("<h2")


def test_it_needs_nothing_from_anywhere() -> None:
    page = comparison_document(a_comparison())
    assert not re.search(r"<(script|link|img|iframe|object|embed)\b|@import|url\(", page)
    assert not re.search(r"src\s*=|href=\"[^#]", page)


def test_everything_from_outside_is_escaped() -> None:
    bad = '<script>alert("1")</script>&'
    row = a_row(name=bad, title=bad, measured=bad, against=bad, notes=[bad], failed=bad)
    page = comparison_document(a_comparison(rows=[row], command=bad, servers={bad: bad}, settings={bad: bad}))
    assert "<script" not in page
    assert bad in read(page)


def test_what_is_doubtful_is_said() -> None:
    text = read(comparison_document(a_comparison(quick=True, interrupted=True)))
    assert "A quick run" in text
    assert "Ended early" in text
