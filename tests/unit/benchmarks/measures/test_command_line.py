import msgspec
import pytest
import typer

from benchmarks.measures.command_line import FAULT, numbers, tell
from benchmarks.measures.guests import Report
from benchmarks.measures.server import MeasureFailed


class Weight(msgspec.Struct):
    kilograms: float


async def weigh(report: Report) -> Weight:
    report("putting it on the scales [bold]")
    return Weight(2.5)


def test_progress_is_apart_from_the_outcome(capsys: pytest.CaptureFixture[str]) -> None:
    tell("weight", weigh, lambda found: [f"{found.kilograms} kg"], as_json=False)
    said = capsys.readouterr()
    assert said.out == "2.5 kg\n"
    assert "putting it on the scales [bold]" in said.err
    tell("weight", weigh, lambda found: [], as_json=True)
    assert msgspec.json.decode(capsys.readouterr().out, type=Weight) == Weight(2.5)


def test_a_fault_is_a_message_and_a_code(capsys: pytest.CaptureFixture[str]) -> None:
    async def fail(report: Report) -> Weight:
        raise MeasureFailed("the scales are broken")

    with pytest.raises(typer.Exit) as left:
        tell("weight", fail, lambda found: [], as_json=True)
    assert left.value.exit_code == FAULT
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", "weight: the scales are broken\n")


def test_a_defect_is_not_hidden() -> None:
    async def fail(report: Report) -> Weight:
        raise KeyError("kilograms")

    with pytest.raises(KeyError):
        tell("weight", fail, lambda found: [], as_json=True)


def test_lists_of_numbers() -> None:
    assert numbers("--sessions", "100_000,10,10") == [10, 100_000]
    for wrong in ("", "ten", "1,,2", "0,5", "-1"):
        with pytest.raises(ValueError, match="--sessions"):
            numbers("--sessions", wrong)
