import pytest

from benchmarks.load.recorder import SLICES_MAX, Recorder, slice_seconds

MS = 1_000_000
S = 1_000 * MS


def test_the_warm_up_and_the_end_do_not_count() -> None:
    recorder = Recorder(10 * S, 5)
    for intended_ns in (9 * S, 10 * S, 14 * S, 15 * S):
        recorder.arrived(intended_ns)
        recorder.answered("spin", intended_ns, intended_ns + 2 * MS)
        recorder.failed("internal", intended_ns)
    assert (recorder.arrivals, recorder.answers, recorder.errors["internal"]) == (2, 2, 2)
    slices = recorder.slices()
    assert [part.arrivals for part in slices] == [1, 0, 0, 0, 1]
    assert [part.answers for part in slices] == [1, 0, 0, 0, 1]
    assert [part.failures for part in slices] == [1, 0, 0, 0, 1]
    assert [part.latency is None for part in slices] == [False, True, True, True, False]


def test_a_late_answer_belongs_to_when_it_was_due_and_to_when_it_came() -> None:
    recorder = Recorder(0, 3)
    recorder.answered("spin", 100 * MS, 2_500 * MS)
    recorder.answered("spin", 200 * MS, 9 * S)
    slices = recorder.slices()
    assert [part.latency is not None for part in slices] == [True, False, False]
    assert [part.answers for part in slices] == [0, 0, 1], "the second came after the end"
    assert recorder.answers == 2


def test_what_is_heard_counts_at_once_or_apart() -> None:
    recorder = Recorder(0, 2)
    recorder.heard("tick", {1_000: 3, 2_000: 1}, 500 * MS)
    recorder.heard("tick", {1_000: 5}, 3 * S)
    recorder.heard("lag", {7: 9}, 500 * MS, is_apart=True)
    slices = recorder.slices()
    assert (recorder.arrivals, recorder.answers, slices[0].answers) == (4, 4, 4)
    assert recorder.kinds["tick"].histogram.get_total_count() == 4
    assert recorder.kinds["lag"].histogram.get_total_count() == 9


@pytest.mark.parametrize("seconds", [0.5, 1, 59.5, 240, 241, 86_400])
def test_time_is_cut_into_a_bounded_number_of_slices(seconds: float) -> None:
    recorder = Recorder(0, seconds)
    recorder.arrived(int(seconds * S) - 1)
    slices = recorder.slices()
    assert slices[-1].arrivals == 1
    assert len(slices) <= SLICES_MAX + 1
    assert slice_seconds(seconds) >= 1
