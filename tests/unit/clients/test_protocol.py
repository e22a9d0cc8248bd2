from typing import Any

import msgpack
import pytest

from clients.errors import ProtocolViolation
from clients.protocol import (
    Authenticated,
    AuthenticationRefused,
    Broadcast,
    Duplicate,
    Event,
    Failure,
    Gap,
    Protocol,
    RenewalRefused,
    Renewed,
    Result,
    SequenceTracker,
    Unexpected,
)


def packed(**message: Any) -> bytes:
    return msgpack.packb(message)


def event(seq: int | None, kind: str = "profile_update", **data: Any) -> bytes:
    return packed(type=kind, user_id="u", data=data, timestamp=1, seq=seq)


def authenticated(resume_from: int | None = None) -> Protocol:
    protocol = Protocol(resume_from)
    sent = msgpack.unpackb(protocol.authenticate("T"))
    assert protocol.receive(packed(type="result", id=sent["id"], data={"user_id": "u"})) == Authenticated()
    return protocol


def test_the_first_frame_carries_the_token_and_what_was_seen() -> None:
    first = msgpack.unpackb(Protocol().authenticate("T"))
    assert (first["type"], first["data"]) == ("authenticate", {"token": "T"})
    again = msgpack.unpackb(Protocol(resume_from=7).authenticate("T"))
    assert again["data"] == {"token": "T", "resume_from": 7}


def test_resume_from_zero_is_sent() -> None:
    assert msgpack.unpackb(Protocol(0).authenticate("T"))["data"]["resume_from"] == 0


def test_a_refused_token() -> None:
    protocol = Protocol()
    sent = msgpack.unpackb(protocol.authenticate("T"))
    error = {"code": "token_expired", "message": "old", "retryable": False}
    refused = protocol.receive(packed(type="error", id=sent["id"], data=error))
    assert refused == AuthenticationRefused("token_expired", "old", False)
    assert not protocol.authenticated


def test_answers_find_their_commands_in_any_order() -> None:
    protocol = authenticated()
    frame = protocol.command("spin_slots", {"stake": 1}, "a")
    assert msgpack.unpackb(frame) == {"type": "spin_slots", "id": "a", "data": {"stake": 1}}
    protocol.command("claim_streak", {}, "b")
    error = {"code": "overloaded", "message": "m", "retryable": True}
    assert protocol.receive(packed(type="error", id="b", data=error)) == Failure("b", "overloaded", "m", True)
    assert protocol.receive(packed(type="result", id="a", data={"x": 1})) == Result("a", {"x": 1})
    assert protocol.in_flight() == []


def test_an_answer_to_nothing_is_told_apart() -> None:
    protocol = authenticated()
    assert isinstance(protocol.receive(packed(type="result", id="z", data={})), Unexpected)
    protocol.command("spin_slots", {}, "a")
    protocol.receive(packed(type="result", id="a", data={}))
    assert isinstance(protocol.receive(packed(type="result", id="a", data={})), Unexpected)
    nobody = packed(type="error", id=None, data={"code": "invalid_message", "retryable": False})
    assert isinstance(protocol.receive(nobody), Unexpected)


def test_an_error_without_an_id_before_authentication_refuses_it() -> None:
    protocol = Protocol()
    protocol.authenticate("T")
    nobody = packed(type="error", id=None, data={"code": "invalid_message", "retryable": False})
    assert isinstance(protocol.receive(nobody), AuthenticationRefused)


def test_unanswered_commands_are_sent_again_under_their_ids_oldest_first() -> None:
    protocol = authenticated()
    frames = [protocol.command("spin_slots", {"stake": n}, f"id{n}") for n in range(3)]
    protocol.receive(packed(type="result", id="id1", data={}))
    protocol.connection_lost()
    assert not protocol.authenticated
    assert protocol.in_flight() == [frames[0], frames[2]]
    protocol.forget("id0")
    assert protocol.in_flight() == [frames[2]]


def test_an_id_in_flight_cannot_be_given_twice() -> None:
    protocol = authenticated()
    protocol.command("spin_slots", {}, "a")
    with pytest.raises(ValueError, match="in flight"):
        protocol.command("spin_slots", {}, "a")


def test_events_in_order_duplicates_dropped_gaps_told() -> None:
    protocol = authenticated()
    assert isinstance(protocol.receive(event(None, "sync_connected")), Event)
    assert protocol.last_seq is None
    assert isinstance(protocol.receive(event(5, "initial_state")), Event)
    assert isinstance(protocol.receive(event(6)), Event)
    assert protocol.receive(event(6)) == Duplicate(6)
    assert protocol.receive(event(9)) == Gap(7, 9)
    assert protocol.last_seq == 6, "resuming must ask for the missing ones"
    assert (protocol.sequence.gaps, protocol.sequence.duplicates) == (1, 1)


def test_what_is_told_on_a_topic_has_no_part_in_the_order_of_events() -> None:
    protocol = authenticated()
    protocol.receive(event(5, "initial_state"))
    tick = packed(type="crash_tick", user_id=None, data={"table": "main"}, timestamp=9, seq=None)
    assert protocol.receive(tick) == Broadcast("crash_tick", {"table": "main"}, 9)
    assert protocol.last_seq == 5
    assert isinstance(protocol.receive(event(6)), Event)
    assert protocol.receive(event(8)) == Gap(7, 8)
    protocol.receive(tick)
    assert protocol.last_seq == 6
    assert (protocol.sequence.gaps, protocol.sequence.duplicates) == (1, 0)


def test_a_gap_that_resuming_does_not_fill_is_passed_over_once() -> None:
    protocol = authenticated(resume_from=6)
    assert isinstance(protocol.receive(event(9)), Gap)
    protocol.connection_lost()
    passed = protocol.receive(event(9))
    assert isinstance(passed, Event)
    assert protocol.last_seq == 9
    assert protocol.receive(event(12)) == Gap(10, 12), "another gap is told again"


def test_a_snapshot_restarts_the_numbers() -> None:
    protocol = authenticated(resume_from=6)
    assert isinstance(protocol.receive(event(50, "initial_state")), Event)
    assert isinstance(protocol.receive(event(51)), Event)
    assert protocol.sequence.gaps == 0
    assert protocol.sequence.regressions == 0
    protocol.receive(event(40, "initial_state"))
    assert protocol.sequence.regressions == 1


@pytest.mark.parametrize(
    "payload",
    [b"", b"\x93\x01\x02\x03", b"\xc1", packed(id="no type"), packed(type=3), b"\x81" * 5000, "text"],
)
def test_what_is_no_frame(payload: bytes | str) -> None:
    with pytest.raises(ProtocolViolation):
        authenticated().receive(payload)


def test_unknown_fields_and_unknown_events_pass() -> None:
    protocol = authenticated()
    frame = packed(type="brand_new", user_id="u", data={"a": [1]}, timestamp=1, seq=3, later=True)
    happening = protocol.receive(frame)
    assert isinstance(happening, Event)
    assert (happening.type, happening.seq) == ("brand_new", 3)


def test_the_tracker_starts_anywhere() -> None:
    tracker = SequenceTracker()
    assert tracker.observe(41) == 0
    assert tracker.observe(42) == 0
    assert tracker.observe(45) == 2
    tracker.accept(45)
    assert tracker.observe(46) == 0


@pytest.mark.parametrize(
    ("answer", "meaning"),
    [
        ({"type": "result", "data": {"user_id": "u_1"}}, Renewed()),
        (
            {"type": "error", "data": {"code": "token_revoked", "retryable": False}},
            RenewalRefused("token_revoked"),
        ),
    ],
)
def test_a_newer_token_on_a_connection_that_goes_on(answer: dict[str, Any], meaning: object) -> None:
    protocol = Protocol(7)
    first = msgpack.unpackb(protocol.authenticate("T0"))
    protocol.receive(msgpack.packb({"type": "result", "id": first["id"], "data": {}}))
    renewal = msgpack.unpackb(protocol.renewal("T1"))
    assert (renewal["type"], renewal["data"]) == ("authenticate", {"token": "T1"}), (
        "there is nothing to resume"
    )
    assert protocol.authenticated
    assert protocol.receive(msgpack.packb({**answer, "id": renewal["id"]})) == meaning
    assert protocol.authenticated
