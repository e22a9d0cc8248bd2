import msgspec

from persistence.kafka.sink_statistics import SinkStatistics
from runtime.envelope import TurnEvents
from runtime.identity import ActorId


def _turn(seq: int, recorded_ms: int = 1000) -> TurnEvents:
    event = msgspec.Raw(b'{"type":"slots_spun","won":3}')
    return TurnEvents(ActorId("session/u_1"), seq, f"c{seq}", recorded_ms, [event, event])


def test_turns_and_their_events_are_counted() -> None:
    statistics = SinkStatistics()
    statistics.count([_turn(1), _turn(2)])
    statistics.count([_turn(3)])
    assert (statistics.turns, statistics.events) == (3, 6)


def test_the_lag_is_the_age_of_what_is_not_inserted() -> None:
    statistics = SinkStatistics()
    assert statistics.lag_ms(5000) == 0
    statistics.count([_turn(1, recorded_ms=2000)])
    assert statistics.lag_ms(5000) == 3000
    statistics.count([_turn(2, recorded_ms=1500)])
    assert statistics.lag_ms(5000) == 3000
    statistics.measured({0: 0, 1: 4}, asked_ms=4000)
    assert (statistics.lag_ms(5000), statistics.records_behind_total) == (3000, 4)
    statistics.measured({0: 0, 1: 0}, asked_ms=4000)
    assert (statistics.lag_ms(5000), statistics.records_behind_total) == (1000, 0)


def test_without_partitions_nothing_is_known_to_be_inserted() -> None:
    statistics = SinkStatistics()
    statistics.count([_turn(1, recorded_ms=2000)])
    statistics.measured({}, asked_ms=4000)
    assert statistics.lag_ms(5000) == 3000
