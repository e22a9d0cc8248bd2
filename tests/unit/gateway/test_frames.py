"""The frame codec, against the independent implementation in ``websockets`` and by the book."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.protocol import State
from websockets.uri import parse_uri

from gateway.frames import (
    BINARY,
    CLOSE,
    PING,
    PONG,
    TEXT,
    FrameReader,
    Message,
    close_code,
    close_frame,
    frame,
)

MAX = 4096


def client() -> ClientProtocol:
    return ClientProtocol(parse_uri("ws://x/"), state=State.OPEN, max_size=None)


def sent(protocol: ClientProtocol) -> bytes:
    return b"".join(protocol.data_to_send())


def masked(first: int, payload: bytes, length: bytes | None = None) -> bytes:
    """A frame with a mask of zeros, and whatever header the test wants."""
    if length is None:
        length = bytes((0x80 | len(payload),))
    return bytes((first,)) + length + bytes(4) + payload


def read(data: bytes, opcode: int = BINARY, max_size: int = MAX) -> tuple[list[Message], int | None]:
    reader = FrameReader(opcode, max_size)
    messages = reader.feed(data)
    return messages, reader.violation.code if reader.violation else None


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 4095, 4096, 65535, 65536, 70000])
def test_reads_what_a_client_sends(size: int) -> None:
    protocol = client()
    payload = bytes(i % 251 for i in range(size))
    protocol.send_binary(payload)
    assert read(sent(protocol), max_size=100_000) == ([Message(BINARY, payload)], None)


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65535, 65536])
def test_a_client_reads_what_we_send(size: int) -> None:
    protocol = client()
    payload = bytes(i % 251 for i in range(size))
    protocol.receive_data(frame(BINARY, payload) * 2)
    events = [event for event in protocol.events_received() if isinstance(event, Frame)]
    assert [(event.opcode, bytes(event.data)) for event in events] == [(Opcode.BINARY, payload)] * 2


def test_a_client_reads_our_close() -> None:
    protocol = client()
    protocol.receive_data(close_frame(4413, "slow consumer"))
    assert protocol.close_rcvd is not None
    assert (protocol.close_rcvd.code, protocol.close_rcvd.reason) == (4413, "slow consumer")


def test_a_long_close_reason_is_cut_between_characters() -> None:
    data = close_frame(1008, "é" * 200)
    assert data[1] <= 125
    assert data[4:].decode() == "é" * 61


def conversation() -> tuple[bytes, list[Message]]:
    protocol = client()
    protocol.send_binary(b"one")
    protocol.send_ping(b"?")
    protocol.send_binary(b"a", fin=False)
    protocol.send_continuation(b"", fin=False)
    protocol.send_ping(b"between")
    protocol.send_continuation(b"b" * 200, fin=True)
    protocol.send_pong(b"!")
    protocol.send_close(1000, "bye")
    expected = [
        Message(BINARY, b"one"),
        Message(PING, b"?"),
        Message(PING, b"between"),
        Message(BINARY, b"a" + b"b" * 200),
        Message(PONG, b"!"),
        Message(CLOSE, b"\x03\xe8bye"),
    ]
    return sent(protocol), expected


def test_a_conversation_cut_at_every_byte() -> None:
    data, expected = conversation()
    for cut in range(len(data) + 1):
        reader = FrameReader(BINARY, MAX)
        assert reader.feed(data[:cut]) + reader.feed(data[cut:]) == expected
        assert reader.violation is None


def test_a_conversation_byte_by_byte() -> None:
    data, expected = conversation()
    reader = FrameReader(BINARY, MAX)
    assert [message for i in range(len(data)) for message in reader.feed(data[i : i + 1])] == expected


@settings(max_examples=60, deadline=None)
@given(st.lists(st.binary(max_size=300), max_size=8), st.lists(st.integers(1, 400), max_size=20))
def test_any_messages_in_any_pieces(payloads: list[bytes], pieces: list[int]) -> None:
    protocol = client()
    for payload in payloads:
        protocol.send_binary(payload)
    data = sent(protocol)
    reader = FrameReader(BINARY, MAX)
    messages: list[Message] = []
    for piece in pieces:
        messages += reader.feed(data[:piece])
        data = data[piece:]
    messages += reader.feed(data)
    assert messages == [Message(BINARY, payload) for payload in payloads]


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_noise_neither_raises_nor_is_kept(noise: bytes) -> None:
    reader = FrameReader(BINARY, 64)
    for _ in range(3):
        reader.feed(noise)
    assert len(reader._rest) <= 64 + 14


@pytest.mark.parametrize(
    ("data", "code"),
    [
        pytest.param(b"\x82\x01x", 1002, id="unmasked"),
        pytest.param(b"\x82\x7e\x01", 1002, id="unmasked, length incomplete"),
        pytest.param(masked(0xC2, b"x"), 1002, id="rsv1"),
        pytest.param(masked(0xA2, b"x"), 1002, id="rsv2"),
        pytest.param(masked(0x92, b"x"), 1002, id="rsv3"),
        pytest.param(masked(0x83, b"x"), 1002, id="unknown data opcode"),
        pytest.param(masked(0x8B, b"x"), 1002, id="unknown control opcode"),
        pytest.param(masked(0x80, b"x"), 1002, id="nothing to continue"),
        pytest.param(masked(0x00, b"x"), 1002, id="nothing to continue, unfinished"),
        pytest.param(masked(0x02, b"x") + masked(0x82, b"y"), 1002, id="message inside a message"),
        pytest.param(masked(0x02, b"x") + masked(0x02, b"y"), 1002, id="fragment inside a message"),
        pytest.param(masked(0x09, b"x"), 1002, id="fragmented ping"),
        pytest.param(masked(0x89, b"x" * 126, b"\xfe\x00\x7e"), 1002, id="long ping"),
        pytest.param(b"\x89\xfe", 1002, id="long ping, from two bytes"),
        pytest.param(masked(0x82, b"x" * 5, b"\xfe\x00\x05"), 1002, id="16-bit length for 5 bytes"),
        pytest.param(b"\x82\xff" + (200).to_bytes(8, "big"), 1002, id="64-bit length for 200 bytes"),
        pytest.param(masked(0x81, b"x"), 1003, id="text"),
        pytest.param(masked(0x01, b"x"), 1003, id="text fragment"),
        pytest.param(b"\x82\xfe" + (4097).to_bytes(2, "big"), 1009, id="oversize, from its header"),
        pytest.param(b"\x82\xff" + (2**63).to_bytes(8, "big"), 1009, id="absurd"),
        pytest.param(
            masked(0x02, b"x" * 4000, b"\xfe\x0f\xa0") + masked(0x80, b"y" * 97), 1009, id="oversize in sum"
        ),
        pytest.param(masked(0x88, b"\x03"), 1002, id="half a close code"),
        pytest.param(masked(0x88, (1005).to_bytes(2, "big")), 1002, id="reserved close code"),
        pytest.param(masked(0x88, (999).to_bytes(2, "big")), 1002, id="low close code"),
        pytest.param(masked(0x88, (5000).to_bytes(2, "big")), 1002, id="high close code"),
        pytest.param(masked(0x88, b"\x03\xe8\xff"), 1007, id="close reason not UTF-8"),
    ],
)
def test_violations(data: bytes, code: int) -> None:
    good = masked(0x82, b"good")
    messages, violation = read(good + data + good)
    assert violation == code
    assert messages == [Message(BINARY, b"good")], "what came before counts, what came after does not"


@pytest.mark.parametrize(
    "data",
    [masked(0x81, b"\xff"), masked(0x01, b"\xe2\x82") + masked(0x80, b"("), masked(0x81, b"\xed\xa0\x80")],
)
def test_text_must_be_utf8(data: bytes) -> None:
    assert read(data, TEXT) == ([], 1007)


def test_a_character_may_be_cut_between_fragments() -> None:
    euro = "€".encode()
    assert read(masked(0x01, euro[:1]) + masked(0x80, euro[1:]), TEXT) == ([Message(TEXT, euro)], None)


def test_binary_on_a_text_subprotocol() -> None:
    assert read(masked(0x82, b"x"), TEXT) == ([], 1003)


def test_nothing_is_read_after_a_close() -> None:
    assert read(masked(0x88, b"") + masked(0x82, b"x")) == ([Message(CLOSE, b"")], None)


def test_endless_empty_fragments_take_no_memory() -> None:
    reader = FrameReader(BINARY, MAX)
    reader.feed(masked(0x02, b""))
    for _ in range(1000):
        assert reader.feed(masked(0x00, b"") * 100) == []
    assert reader._fragments == b""
    assert reader._rest == b""


def test_close_code() -> None:
    assert close_code(b"") == 1005
    assert close_code(b"\x03\xe8bye") == 1000
