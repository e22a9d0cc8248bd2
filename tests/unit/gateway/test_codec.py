"""Both subprotocols: envelopes in, finished frames out."""

from __future__ import annotations

import json

import msgpack
import msgspec
import pytest

from gateway.catalogue import UNREADABLE
from gateway.codec import CODECS, JSON, MESSAGEPACK, Codec, raw_map
from gateway.frames import BINARY, TEXT
from gateway.schema import ErrorData, ErrorFrame, EventFrame
from tests.unit.gateway.fakes import frames_in, raw

DATA = {"gold": 2**53 - 1, "name": "żółw 🎰", "ratio": 0.25, "none": None, "list": [True, -1], "map": {}}


@pytest.mark.parametrize("codec", CODECS.values())
def test_what_is_sent_decodes_elsewhere(codec: Codec) -> None:
    event = EventFrame("profile_update", "u_ann", raw(DATA), 1_700_000_000_000, 7)
    error = ErrorFrame(None, ErrorData("invalid_message", "No.", False))
    sent = codec.result("ü-1", raw(DATA)) + codec.event(event) + codec.error(error)
    frames = frames_in(sent)
    assert {opcode for opcode, _ in frames} == {codec.opcode}
    decode = json.loads if codec is JSON else msgpack.unpackb
    assert [decode(payload) for _, payload in frames] == [
        {"type": "result", "id": "ü-1", "data": DATA},
        {
            "type": "profile_update",
            "user_id": "u_ann",
            "data": DATA,
            "timestamp": 1_700_000_000_000,
            "seq": 7,
        },
        {
            "type": "error",
            "id": None,
            "data": {"code": "invalid_message", "message": "No.", "retryable": False},
        },
    ]


def test_opcodes() -> None:
    assert (MESSAGEPACK.opcode, JSON.opcode) == (BINARY, TEXT)


def test_results_are_spliced_not_decoded() -> None:
    garbage = b"\xc1\xc1\xc1"
    assert MESSAGEPACK.result("1", msgspec.Raw(garbage)).endswith(garbage)


def test_bytes_become_base64_in_json() -> None:
    ((_, payload),) = frames_in(JSON.result("1", raw({"seed": b"\x00\xff"})))
    assert json.loads(payload)["data"] == {"seed": "AP8="}


def test_what_json_cannot_say() -> None:
    for data in (b"\xc1", b"\x91" * 5000 + b"\xc0", b"\x81\x91\x01\x02"):
        ((_, payload),) = frames_in(JSON.result("1", msgspec.Raw(data)))
        assert json.loads(payload)["data"] == {"unrepresentable": True}


@pytest.mark.parametrize("codec", CODECS.values())
def test_envelopes(codec: Codec) -> None:
    message = {"type": "spin_slots", "id": "1", "data": {"stake": 5}, "trace": "ignored"}
    payload = msgpack.packb(message) if codec is MESSAGEPACK else json.dumps(message).encode()
    envelope = codec.envelope(payload)
    assert (envelope.type, envelope.id) == ("spin_slots", "1")
    with pytest.raises(UNREADABLE):
        codec.envelope(payload[:-1])


def test_raw_map() -> None:
    assert msgpack.unpackb(raw_map(ErrorData("a", "b", True))) == {
        "code": "a",
        "message": "b",
        "retryable": True,
    }
