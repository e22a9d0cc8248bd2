import pytest
from typer import Typer
from typer.testing import CliRunner

from benchmarks.measures.memory import GIB, check, command, sessions_in, told


def test_how_many_fit() -> None:
    assert sessions_in(GIB, 4096.0) == 262_144
    assert sessions_in(GIB, 0.0) == 0.0
    assert sessions_in(GIB, -12.0) == 0.0, "less memory than before is noise, not a gain"


@pytest.mark.parametrize(
    ("sessions", "connections", "reason"),
    [
        ([], 1, "at least one"),
        ([0, 5], 1, "none below 1"),
        ([10], 0, "connections"),
        ([10], 11, "another guest"),
        ([100_000], 20_000, "19,000"),
    ],
)
def test_numbers_that_make_no_sense(sessions: list[int], connections: int, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        check(sessions, connections)


def test_numbers_that_do() -> None:
    check([10, 100], 100)


def test_what_has_grown_most_is_told_first() -> None:
    before = {"gateway": 0, "session host": 1024, "Ray": 512, "Valkey": 4096}
    after = {"gateway": 2048, "session host": 1024 * 11, "Ray": 512, "Valkey": 3072}
    assert told(before, after) == "session host +10 KiB, gateway +2 KiB, Valkey -1 KiB"
    assert told(before, before) == "no growth"


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--sessions", "many"], "--sessions: 'many' is not a list of numbers"),
        (["--sessions", "100", "--connections", "200"], "connections: 200 must be between"),
    ],
)
def test_bad_input_is_a_message_and_a_code(arguments: list[str], reason: str) -> None:
    app = Typer()
    app.command()(command)
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 2
    assert reason in done.stderr
    assert done.stdout == ""
