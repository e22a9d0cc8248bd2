import msgspec
import pytest

from benchmarks.compare.pairing import Spread
from benchmarks.compare.result import Aim, is_ok, judged, read, written
from tests.unit.benchmarks.compare.comparisons import SLOWEST, SPINS, a_comparison, a_row


def test_verdicts() -> None:
    assert judged(SPINS, Spread(6.0)).verdict == "ok", "the bound itself is met"
    missed = judged(SPINS, Spread(5.4, 5.0, 6.1))
    assert (missed.verdict, missed.off_by, missed.low, missed.high) == ("missed", 0.1, 5.0, 6.1)
    assert judged(SLOWEST, Spread(1 / 6)).off_by is None
    assert judged(SLOWEST, Spread(0.5)).off_by == 2.0
    assert judged(SPINS, None).verdict == "not measured"
    assert judged(Aim("time", "≤", 5.0, "s"), Spread(4.0)).verdict == "ok"


def test_all_targets_are_met_only_when_all_were_measured() -> None:
    row = a_row()
    assert is_ok([row])
    assert not is_ok([])
    assert not is_ok([row, a_row(checks=[judged(SPINS, None)])])
    assert not is_ok([row, a_row(checks=[judged(SPINS, Spread(1.0))])])


def test_it_is_empty_when_no_row_could_be_measured() -> None:
    nothing = a_row(checks=[judged(SPINS, None)])
    assert a_comparison(rows=[nothing]).is_empty
    assert not a_comparison().is_empty


def test_it_survives_the_file() -> None:
    assert read(written(a_comparison())) == a_comparison()
    assert msgspec.json.decode(written(a_comparison()))["version"] == 1


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"{}", "not a comparison"),
        (b"nothing", "not a comparison"),
        (b'{"version": 2}', "version 2"),
        (b'{"version": 1}', "not a comparison"),
    ],
)
def test_what_is_no_comparison_is_said(data: bytes, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        read(data)
