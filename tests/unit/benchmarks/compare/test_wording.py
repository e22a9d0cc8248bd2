from benchmarks.compare import wording
from benchmarks.compare.pairing import Spread
from benchmarks.compare.result import Figure, judged
from benchmarks.load.machine import Machine
from tests.unit.benchmarks.compare.comparisons import SLOWEST, SPINS, a_comparison, a_row


def test_numbers_have_their_unit_and_their_spread() -> None:
    assert wording.amount(21_345.6, "/s") == "21,346 /s"
    assert wording.amount(1 / 6, "×") == "0.167 ×"
    assert wording.amount(0.0, "") == "0"
    assert wording.value(judged(SPINS, Spread(6.25, 5.5, 7.0))) == "6.25 × (5.5–7)"
    assert wording.value(judged(SPINS, None)) == "–"
    assert wording.target(judged(SLOWEST, None)) == "≤ 0.167 ×"
    assert wording.figure(Figure("p99", 12.34, "ms")) == "12.3 ms"


def test_a_missed_target_says_by_how_much() -> None:
    assert wording.verdict(judged(SPINS, Spread(6.0))) == "met"
    assert wording.verdict(judged(SPINS, Spread(5.4))) == "missed by 10 %"
    assert wording.verdict(judged(SPINS, Spread(5.999))) == "missed by less than 1 %"
    assert wording.verdict(judged(SPINS, None)) == "not measured"
    assert wording.sentence(judged(SPINS, None)) == "spins per second: not measured"
    assert wording.sentence(judged(SPINS, Spread(5.4))) == "spins per second: 5.4 ×, missed by 10 %"


def test_the_summary_counts() -> None:
    assert wording.summary(a_comparison()) == "2 of 4 targets met, 1 missed, 1 not measured"
    assert wording.summary(a_comparison(rows=[a_row()])) == "2 of 2 targets met"


def test_what_makes_figures_doubtful_is_said() -> None:
    assert wording.caveats(a_comparison()) == []
    busy = Machine(2, "a CPU", "6.1", 2**33, 1.7, 0.1, 0.4, "a directory", {})
    quick, early, load = wording.caveats(a_comparison(quick=True, interrupted=True, machine=busy))
    assert "quick" in quick
    assert "early" in early
    assert "1.7" in load
    assert wording.why(a_comparison().rows[2]) == ["Not measured: the casino did not start"]


def test_durations() -> None:
    assert wording.duration(59.6) == "1 min 0 s"
    assert wording.duration(12) == "12 s"
    assert wording.duration(-3) == "0 s"
