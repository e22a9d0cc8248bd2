"""``casino bench compare`` as a person types it; nothing is measured."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from benchmarks.compare.command import FAULT, MISSED
from benchmarks.compare.handbook import BEGIN, END
from benchmarks.compare.result import Comparison, read, written
from tests.unit.benchmarks.compare.comparisons import a_comparison, a_row
from tests.unit.benchmarks.load.test_command import run


@pytest.fixture
def measured(tmp_path: Path) -> Path:
    path = tmp_path / "compare.json"
    path.write_bytes(written(a_comparison()))
    return path


def test_a_comparison_is_shown_and_written_again(measured: Path, tmp_path: Path) -> None:
    out, docs = tmp_path / "out", tmp_path / "page.md"
    docs.write_text(f"# Benchmarks\n{BEGIN}\n{END}\n")
    done = run("compare", "--from", str(measured), "--out", str(out), "--write-docs", str(docs))
    assert done.returncode == MISSED, done.stdout + done.stderr
    assert "2 of 4 targets met" in done.stdout
    assert read((out / "compare.json").read_bytes()) == a_comparison()
    assert "missed by 25 %" in (out / "index.html").read_text()
    assert "missed by 25 %" in docs.read_text()


def test_exit_codes(measured: Path) -> None:
    measured.write_bytes(written(a_comparison(ok=True, rows=[a_row()])))
    done = run("compare", "--from", str(measured), "--json")
    assert done.returncode == 0, done.stderr
    assert msgspec.json.decode(done.stdout, type=Comparison).ok
    measured.write_bytes(written(a_comparison(ok=False, rows=a_comparison().rows[2:])))
    done = run("compare", "--from", str(measured))
    assert done.returncode == FAULT
    assert "nothing could be measured" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--only=spin"], "no row 'spin'; there are spin-500"),
        (["--rounds=0"], "--rounds"),
        (["--out=/dev/null/x"], "/dev/null"),
        (["--from=/nowhere/compare.json"], "/nowhere"),
        (["--from={measured}", "--quick"], "--from measures nothing"),
        (["--from={measured}", "--write-docs=/nowhere/page.md"], "/nowhere"),
        (["--from={page}"], "not a comparison"),
        (["--write-docs={page}"], "there must be one line"),
    ],
)
def test_faults_say_what_to_do(arguments: list[str], said: str, measured: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# no comments here\n")
    given = [argument.format(measured=measured, page=page) for argument in arguments]
    done = run("compare", *given)
    assert done.returncode == FAULT, done.stdout + done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
