import msgspec

from persistence.kafka.sink_statistics import SinkStatistics
from runtime.envelope import TurnEvents
from runtime.identity import ActorId


def _turn(seq: int, recorded_ms: int = 1000) -> TurnEvents:
    event = msgspec.Raw(b'{"type":"slots_spun","won":3}')
    return TurnEvents(ActorId("session/u_1"), seq, f"c{seq}", recorded_ms, [event, event])


def test_turns_and_their_events_are_counted() -> None:
    statistics = SinkStatistics()
    statistics.count([(0, _turn(1)), (1, _turn(2))])
    statistics.count([(0, _turn(3))])
    assert (statistics.turns, statistics.events) == (3, 6)


def test_nothing_is_known_before_the_first_look() -> None:
    statistics = SinkStatistics()
    assert statistics.inserted_until_ms is None
    statistics.measured({0: 0, 1: 4}, asked_ms=4000)
    assert (statistics.inserted_until_ms, statistics.records_behind_total) == (None, 4)
    statistics.count([(1, _turn(1, recorded_ms=1500))])
    assert statistics.inserted_until_ms == 1500


def test_the_slowest_partition_says_until_when_all_is_inserted() -> None:
    statistics = SinkStatistics()
    statistics.measured({0: 0, 1: 0}, asked_ms=1000)
    assert statistics.inserted_until_ms == 1000
    statistics.measured({0: 7, 1: 7}, asked_ms=4000)
    statistics.count([(0, _turn(1, recorded_ms=3000))])
    assert statistics.inserted_until_ms == 1000
    statistics.count([(1, _turn(2, recorded_ms=2000))])
    assert statistics.inserted_until_ms == 2000
    statistics.measured({0: 1, 1: 0}, asked_ms=5000)
    assert statistics.inserted_until_ms == 3000
    statistics.measured({0: 0, 1: 0}, asked_ms=6000)
    assert (statistics.inserted_until_ms, statistics.records_behind_total) == (6000, 0)


def test_what_had_waited_before_the_bus_puts_the_time_back() -> None:
    statistics = SinkStatistics()
    statistics.measured({0: 0}, asked_ms=4000)
    statistics.count([(0, _turn(1, recorded_ms=2000))])
    assert statistics.inserted_until_ms == 2000


def test_without_partitions_nothing_more_is_known() -> None:
    statistics = SinkStatistics()
    statistics.measured({0: 0}, asked_ms=2000)
    statistics.measured({}, asked_ms=4000)
    assert statistics.inserted_until_ms == 2000


def test_what_another_has_taken_over_counts_no_more() -> None:
    statistics = SinkStatistics()
    statistics.measured({0: 0, 1: 0}, asked_ms=2000)
    statistics.measured({1: 0}, asked_ms=4000)
    assert statistics.inserted_until_ms == 4000
