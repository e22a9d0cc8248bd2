from pathlib import Path

import pytest

from benchmarks.compare.handbook import BEGIN, END, check_docs, section, with_section, write_docs
from tests.unit.benchmarks.compare.comparisons import a_comparison, a_row

ROOT = Path(__file__).parents[4]


def test_the_section_says_every_target_and_what_it_means() -> None:
    text = section(a_comparison())
    for said in (
        "2 of 4 targets met, 1 missed, 1 not measured",
        "casino bench compare --out out",
        "| **Durable spins, 500 players**: spins per second | ≥ 6 × | 6 × (5–7) | ✓ met |",
        "| slowest spins | ≤ 0.167 × | 0.05 × (0.04–0.1) | ✓ met |",
        "| **Whether it gets dearer**: dearer | ≤ 1.2 × | 1.5 × | ✗ missed by 25 % |",
        "– not measured",
        "> Not measured: the casino did not start",
        "> Something was odd.",
        "rowlock: the seed's shape.",
        "casino, spins 6,000 /s (5,000–7,000)",
        "2 × a CPU",
    ):
        assert said in text


def test_a_cell_stays_a_cell() -> None:
    row = a_row(title="a | b\nc")
    assert r"**a \| b c**: spins" in section(a_comparison(rows=[row]))


def test_only_what_is_between_the_comments_is_replaced() -> None:
    text = f"before\n{BEGIN}\nold\n{END}\nafter\n"
    once = with_section(text, a_comparison())
    assert once.startswith("before\n")
    assert once.endswith("after\n")
    assert "old" not in once
    assert with_section(once, a_comparison()) == once


@pytest.mark.parametrize(
    "text", ["", BEGIN, END, f"{END}{BEGIN}", f"{BEGIN}{END}{END}", f"{BEGIN}{BEGIN}{END}"]
)
def test_without_its_comments_nothing_is_written(text: str, tmp_path: Path) -> None:
    path = tmp_path / "page.md"
    path.write_text(text)
    with pytest.raises(ValueError, match="there must be"):
        check_docs(path)
    with pytest.raises(ValueError, match="there must be"):
        write_docs(path, a_comparison())
    assert path.read_text() == text


def test_the_handbook_has_a_place_for_it(tmp_path: Path) -> None:
    check_docs(ROOT / "docs/benchmarks.md")
