import pytest

from clients.crash_events import CashOut, CrashCashedOut, CrashState, CrashTick, crash_event, crash_topic
from clients.errors import ProtocolViolation
from clients.protocol import Broadcast
from tests.unit.clients.crash_house import CrashHouse


def told(kind: str, **data: object) -> Broadcast:
    return Broadcast(kind, {"table": "main", "round": 3, **data}, 1)


def test_each_becomes_its_type_and_unknown_fields_pass() -> None:
    tick = crash_event(told("crash_tick", elapsed_ms=100, multiplier=1, later="x"), "main")
    assert tick == CrashTick("main", 3, 100, 1.0)
    cash_outs = [{"user_id": "u", "multiplier": 1.5, "payout": 15}]
    event = crash_event(told("crash_cashed_out", cash_outs=cash_outs, cashed_out=4, paid=60), "main")
    assert event == CrashCashedOut("main", 3, [CashOut("u", 1.5, 15)], 4, 60)
    house = CrashHouse()
    state = crash_event(told("crash_state", **house.state(3, history=[house.finished(2)])), "main")
    assert isinstance(state, CrashState)
    assert state.history[0].crash_point == house.crash_point(2)


def test_other_tables_and_types_are_none_of_its_business() -> None:
    assert crash_event(told("crash_tick", elapsed_ms=1, multiplier=1.0), "high") is None
    assert crash_event(told("crash_confetti"), "main") is None
    assert crash_topic("high") == "crash/high"


def test_an_event_without_its_fields_is_a_violation() -> None:
    with pytest.raises(ProtocolViolation, match="crash_tick"):
        crash_event(told("crash_tick", elapsed_ms="soon"), "main")
