import msgspec
import pytest

from runtime.envelope import BadEnvelope, BadTurn, TurnEvents, decode_envelope, encode_envelope, events_of
from runtime.identity import ActorId
from runtime.journal import StoredTurn
from runtime.turn import encode_body

ANN = ActorId("session/ann")


class Spun(msgspec.Struct, tag="spun"):
    stake: int
    symbols: list[str]


class SeedDrawn(msgspec.Struct, tag="seed_drawn"):
    seed: bytes


def stored(*events: msgspec.Struct) -> StoredTurn:
    body, _, _ = encode_body(events, {"gold": 1}, [], [])
    return StoredTurn(ANN, 7, "spin-1", 5, 1_767_225_600_000, 3, 2, body)


def test_an_envelope_says_who_did_what_when_and_why() -> None:
    turn = events_of(stored(Spun(10, ["🍒", "bar"]), Spun(10**18, [])), ())
    assert msgspec.json.decode(encode_envelope(turn)) == {
        "version": 1,
        "actor": "session/ann",
        "seq": 7,
        "command_id": "spin-1",
        "recorded_ms": 1_767_225_600_000,
        "events": [
            {"type": "spun", "stake": 10, "symbols": ["🍒", "bar"]},
            {"type": "spun", "stake": 10**18, "symbols": []},
        ],
    }


def test_it_is_read_back_as_it_was_written() -> None:
    turn = events_of(stored(Spun(10, [])), ())
    assert decode_envelope(encode_envelope(turn)) == turn


def test_of_a_secret_event_only_the_type_leaves_and_it_still_counts() -> None:
    turn = events_of(stored(Spun(1, []), SeedDrawn(b"\x01secret"), Spun(2, [])), {"seed_drawn"})
    envelope = encode_envelope(turn)
    assert b"secret" not in envelope
    assert [msgspec.json.decode(event) for event in turn.events][1] == {
        "type": "seed_drawn",
        "redacted": True,
    }
    assert len(turn.events) == 3


DEEP = b"\x94\x91\x82\xa4type\xa4deep\xa1x" + b"\x91" * 50_000 + b"\xc0" + b"\x80\x90\x90"


@pytest.mark.parametrize(
    "body", [b"", b"\xc1", b"\x94\x91\x01\x80\x90\x90", b"\x94\x91\x80\x80\x90\x90", DEEP]
)
def test_a_turn_that_cannot_be_read_says_which_it_is(body: bytes) -> None:
    turn = StoredTurn(ANN, 7, "spin-1", 5, 1_767_225_600_000, 3, 2, body)
    with pytest.raises(BadTurn, match="turn 7 of session/ann"):
        events_of(turn, ())


@pytest.mark.parametrize(
    "envelope",
    [
        b"",
        b"\x00\xff",
        b"[]",
        b"null",
        b'{"actor": "session/ann"}',
        b'{"version": 1, "actor": 5, "seq": 1, "command_id": "", "recorded_ms": 0, "events": []}',
        b'{"version": 2, "actor": "a/b", "seq": 1, "command_id": "", "recorded_ms": 0, "events": []}',
        b'{"version": 1, "actor": "a/b", "seq": 1, "command_id": "\xff", "recorded_ms": 0, "events": []}',
        b'{"version": 1, "actor": "a/b", "seq": 1, "command_id": "", "recorded_ms": 0, "events": '
        + b"[" * 50_000,
    ],
)
def test_what_is_no_envelope_is_refused(envelope: bytes) -> None:
    with pytest.raises(BadEnvelope):
        decode_envelope(envelope)


def test_fields_of_a_later_writer_do_not_matter() -> None:
    envelope = encode_envelope(TurnEvents(ANN, 1, "c", 0, []))
    assert decode_envelope(envelope[:-1] + b',"region":"eu"}').seq == 1
