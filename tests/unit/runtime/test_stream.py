import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.identity import ActorId
from runtime.journal import PushRecord
from runtime.stream import (
    FRAME_BYTES_AIM,
    FRAME_BYTES_MAX,
    Attach,
    Attached,
    Challenge,
    Deliver,
    Detach,
    Failure,
    FrameReader,
    Hello,
    Lost,
    Misrouted,
    Pushed,
    Result,
    StreamError,
    Welcome,
    decode_to_host,
    decode_to_router,
    frame,
    frames,
    host_proof,
    router_proof,
)

ANN = ActorId("session/ann")
RAW = msgspec.Raw(msgspec.msgpack.encode({"x": 1}))
PUSHED = Pushed(ANN, 3, 99, [PushRecord("changed", RAW)])

TO_HOST = [
    Hello("gateway-0", b"nonce", b"proof"),
    Deliver(1, ANN, "id", "spin", RAW),
    Deliver(2, ANN, "id", "spin", RAW, ActorId("session/ben")),
    Attach(3, ANN, None),
    Attach(4, ANN, 7),
    Detach(ANN),
]
TO_ROUTER = [
    Challenge(b"nonce"),
    Welcome(5, b"proof"),
    Result(1, RAW),
    Failure(2, "code", "message", True),
    Misrouted(3),
    PUSHED,
    Attached(4, ANN, 3, 99, None, [PUSHED]),
    Attached(5, ANN, 3, 99, bytes(RAW), []),
    Lost(ANN),
]


def _plain(messages: object) -> object:
    return msgspec.msgpack.decode(msgspec.msgpack.encode(messages))


def test_every_message_survives_the_way_to_the_host() -> None:
    [payload] = FrameReader().feed(bytes(frame(TO_HOST)))
    decoded = decode_to_host(payload)
    assert [type(message) for message in decoded] == [type(message) for message in TO_HOST]
    assert _plain(decoded) == _plain(TO_HOST)


def test_every_message_survives_the_way_to_the_router() -> None:
    [payload] = FrameReader().feed(bytes(frame(TO_ROUTER)))
    decoded = decode_to_router(payload)
    assert [type(message) for message in decoded] == [type(message) for message in TO_ROUTER]
    assert _plain(decoded) == _plain(TO_ROUTER)


@given(st.lists(st.integers(min_value=1, max_value=40), min_size=1, max_size=40))
def test_frames_are_cut_wherever_the_bytes_are_split(sizes: list[int]) -> None:
    stream = b"".join(bytes(frame([Misrouted(number)])) for number in range(20))
    reader, payloads, start = FrameReader(), [], 0
    for size in sizes:
        payloads += reader.feed(stream[start : start + size])
        start += size
    payloads += reader.feed(stream[start:])
    refs = [message.ref for payload in payloads for message in decode_to_router(payload)]  # type: ignore[union-attr]
    assert refs == list(range(20))


def test_an_oversized_frame_is_refused_before_it_is_read() -> None:
    with pytest.raises(StreamError):
        FrameReader().feed((FRAME_BYTES_MAX + 1).to_bytes(4, "big"))


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\xc1",
        b"\x91" * 100_000,
        msgspec.msgpack.encode([[99]]),
        b"\x91\x92\x03\xa1\xff",  # text that is not UTF-8
    ],
)
def test_garbage_is_a_stream_error(payload: bytes) -> None:
    with pytest.raises(StreamError):
        decode_to_host(payload)


def test_long_queues_leave_as_several_frames() -> None:
    body = msgspec.Raw(msgspec.msgpack.encode("x" * 4000))
    queue = [Result(number, body) for number in range(1000)]
    parts = frames(queue)
    assert all(len(part) <= FRAME_BYTES_AIM for part in parts)
    reader = FrameReader()
    received = [m for part in parts for p in reader.feed(bytes(part)) for m in decode_to_router(p)]
    assert [message.ref for message in received] == list(range(1000))  # type: ignore[union-attr]


def test_a_proof_is_for_one_greeting_one_name_and_one_secret() -> None:
    one, two = Challenge(b"1" * 16), Challenge(b"2" * 16)
    proofs = {
        router_proof(b"secret", one, b"n" * 16, "gateway-0"),
        router_proof(b"secret", two, b"n" * 16, "gateway-0"),
        router_proof(b"secret", one, b"m" * 16, "gateway-0"),
        router_proof(b"secret", one, b"n" * 16, "gateway-1"),
        router_proof(b"guess!", one, b"n" * 16, "gateway-0"),
        host_proof(b"secret", one, b"n" * 16, 7),
        host_proof(b"secret", one, b"n" * 16, 8),
    }
    assert len(proofs) == 7
