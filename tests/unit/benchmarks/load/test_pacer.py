"""The open model on a clock of its own: whoever is late, the schedule is not."""

from benchmarks.load.pacer import BEHIND_NS_MAX, Pacer
from benchmarks.load.recorder import Recorder
from benchmarks.load.saturation import GeneratorSecond, saturation
from benchmarks.load.schedule import arrivals, constant

MS = 1_000_000
S = 1_000 * MS
BEGAN = 5 * S


def paced(rate: float, seconds: float) -> Pacer:
    return Pacer(arrivals(constant(rate, seconds)), BEGAN)


def test_each_arrival_once_at_its_own_time() -> None:
    pacer = paced(100, 0.05)
    assert pacer.next_ns == BEGAN
    assert pacer.due(BEGAN - 1) == []
    assert pacer.due(BEGAN) == [BEGAN]
    assert pacer.next_ns == BEGAN + 10 * MS
    assert pacer.due(BEGAN + 25 * MS) == [BEGAN + 10 * MS, BEGAN + 20 * MS]
    assert pacer.due(BEGAN + 25 * MS) == []
    assert pacer.due(BEGAN + 1 * S) == [BEGAN + 30 * MS, BEGAN + 40 * MS]
    assert pacer.next_ns is None
    assert (pacer.begun, pacer.given_up) == (5, 0)


def test_a_turn_is_bounded() -> None:
    pacer = paced(1_000, 1)
    now_ns = BEGAN + 1 * S
    turns = []
    while (next_ns := pacer.next_ns) is not None and next_ns <= now_ns:
        turns.append(len(pacer.due(now_ns)))
    assert sum(turns) == 1_000
    assert max(turns) == 256


def test_an_arrival_that_is_far_too_late_is_given_up_and_counted() -> None:
    pacer = paced(10, 10)
    begun = pacer.due(BEGAN + BEHIND_NS_MAX + 1 * S)
    # Due 0.0 … 1.0 s after the beginning, of which the last is exactly as late as is allowed.
    assert pacer.given_up == 10
    assert begun[0] == BEGAN + 1 * S
    assert saturation([[]], pacer.given_up) == [
        "10 arrivals given up, because they could not be begun in time"
    ]


class StallingServer:
    """Answers after 1 ms, but for a stall in which nothing is answered."""

    def __init__(self, stall_begin_ns: int, stall_end_ns: int) -> None:
        self._stall = (stall_begin_ns, stall_end_ns)

    def answers_at(self, sent_ns: int) -> int:
        begin_ns, end_ns = self._stall
        done_ns = sent_ns + 1 * MS
        return end_ns if begin_ns <= done_ns < end_ns else done_ns


def test_who_was_due_in_a_stall_counts_as_having_waited() -> None:
    """Coordinated omission: a stall of 2 s in 10 s concerns 20 % of the arrivals, not one."""
    server = StallingServer(BEGAN + 4 * S, BEGAN + 6 * S)
    recorder = Recorder(BEGAN, 10)
    pacer = paced(100, 10)
    while (now_ns := pacer.next_ns) is not None:
        for intended_ns in pacer.due(now_ns):
            recorder.arrived(intended_ns)
            recorder.answered("spin", intended_ns, server.answers_at(now_ns))
    recorder.fold()
    open_model = recorder.kinds["spin"].histogram
    assert open_model.get_total_count() == 1_000
    assert open_model.get_value_at_percentile(75) <= 1_010
    assert 0.9e6 < open_model.get_value_at_percentile(90) < 1.1e6
    assert 1.8e6 < open_model.get_value_at_percentile(99) < 2.01e6

    closed, now_ns = Recorder(BEGAN, 10), BEGAN
    while now_ns < BEGAN + 10 * S:
        answered_ns = server.answers_at(now_ns)
        closed.answered("spin", now_ns, answered_ns)
        now_ns = answered_ns
    closed.fold()
    assert closed.kinds["spin"].histogram.get_value_at_percentile(99) <= 1_010, "what it would have hidden"


def test_a_generator_that_stands_still_is_late_and_says_so() -> None:
    """The same figures, but the fault is the generator's: it did not wake for 2 s."""
    recorder, pacer = Recorder(BEGAN, 10), paced(100, 10)
    seconds = []
    for second in range(10):
        wakes = [second * S + step * 10 * MS for step in range(100)]
        for now_ns in (BEGAN + wake for wake in wakes if not 4 * S <= wake < 6 * S):
            for intended_ns in pacer.due(now_ns):
                recorder.arrived(intended_ns)
                recorder.answered("spin", intended_ns, now_ns + 1 * MS)
        late = pacer.fold()
        seconds.append(GeneratorSecond(0.1, late.p50_ms, late.p99_ms))
    reasons = saturation([seconds], pacer.given_up)
    assert len(reasons) == 1
    assert "1 of 10 s" in reasons[0]
    # 200 of the 300 that were begun in that second were late, by 10 to 2,000 ms.
    assert "1,970.0 ms" in reasons[0]
    recorder.fold()
    assert recorder.kinds["spin"].histogram.get_value_at_percentile(99) > 1.5e6, (
        "its latencies are not hidden"
    )
