"""The data stream between a router and a host: messages, framing and authentication, no I/O.

A frame is a 4-byte big-endian length and a MessagePack array of messages. Whatever is waiting
when the stream is free to write goes into one frame: batching follows the load, no timer is
involved. Never pickle: client bytes travel here.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from typing import Protocol, Union

import msgspec

from runtime.identity import ActorId
from runtime.journal import Incarnation, PushRecord

FRAME_BYTES_MAX = 32 * 1024 * 1024
FRAME_BYTES_AIM = 1024 * 1024
"""A longer frame is divided, as far as it has messages."""
GREETING_BYTES_MAX = 1024
"""Length of a frame from a peer that has not proved anything yet."""
NONCE_BYTES = 16
_HEADER_BYTES = 4


class Message(msgspec.Struct, array_like=True, gc=False):
    """Base of everything on the stream. ``ref`` is chosen by the router and returned in the answer."""


class Listener(Protocol):
    """Where an answer goes: a stream to a router, or a part of the host itself."""

    def send(self, message: Message) -> None: ...


class Hello(Message, tag=0):
    """First message of the router, in answer to the challenge. See ``router_proof``."""

    router: str
    nonce: bytes
    proof: bytes


class Deliver(Message, tag=1):
    """A command for an actor. ``sender`` is set for durable sends between actors, ``again`` when it
    may have arrived before, ``is_question`` when the sender waits for what it comes to."""

    ref: int
    actor: ActorId
    command_id: str
    name: str
    data: msgspec.Raw
    sender: ActorId | None = None
    again: bool = False
    is_question: bool = False


class Attach(Message, tag=2):
    """Begin to receive an actor's pushes. ``after`` is the last push seq seen, or None for the view."""

    ref: int
    actor: ActorId
    after: int | None


class Detach(Message, tag=3):
    actor: ActorId


class Challenge(Message, tag=9):
    """First message of the host: a number used once, so that no hello can be used twice."""

    nonce: bytes


class Welcome(Message, tag=10):
    """The host's answer to a hello. See ``host_proof``."""

    incarnation: Incarnation
    proof: bytes


class Result(Message, tag=11):
    """The durable reply to a command: a MessagePack map."""

    ref: int
    data: msgspec.Raw


class Failure(Message, tag=12):
    ref: int
    code: str
    message: str
    retryable: bool


class Misrouted(Message, tag=13):
    """Not the owner of this actor's shard (any more, or yet): fetch the map and try again."""

    ref: int


class Pushed(Message, tag=14):
    """The outgoing events of one turn, numbered ``first_seq``, ``first_seq + 1``, …"""

    actor: ActorId
    first_seq: int
    recorded_ms: int
    items: list[PushRecord]


class Attached(Message, tag=15):
    """The answer to Attach. The router knows everything up to push seq ``position`` after applying
    it: either a ``view`` at that position (an encoded MessagePack map), or the ``backlog`` of turns
    since ``after``."""

    ref: int
    actor: ActorId
    position: int
    recorded_ms: int
    view: bytes | None
    backlog: list[Pushed]


class Lost(Message, tag=16):
    """The host gave this actor away: attach again at its new owner."""

    actor: ActorId


class Ticked(Message, tag=17):
    """Something that is true for the moment only. Not numbered; the next one replaces it."""

    actor: ActorId
    recorded_ms: int
    item: PushRecord


ToHost = Union[Hello, Deliver, Attach, Detach]
ToRouter = Union[Challenge, Welcome, Result, Failure, Misrouted, Pushed, Attached, Lost, Ticked]

_encoder = msgspec.msgpack.Encoder()
_decode_to_host = msgspec.msgpack.Decoder(list[ToHost]).decode
_decode_to_router = msgspec.msgpack.Decoder(list[ToRouter]).decode


class StreamError(Exception):
    """The peer does not speak this protocol: close the stream."""


def frame(messages: Sequence[Message]) -> bytearray:
    """Encode messages as one frame."""
    buffer = bytearray(_HEADER_BYTES)
    _encoder.encode_into(messages, buffer, _HEADER_BYTES)
    buffer[:_HEADER_BYTES] = (len(buffer) - _HEADER_BYTES).to_bytes(_HEADER_BYTES, "big")
    return buffer


def frames(messages: Sequence[Message]) -> list[bytearray]:
    """Encode messages as one frame, or as several when one would be long."""
    whole = frame(messages)
    if len(whole) <= FRAME_BYTES_AIM or len(messages) == 1:
        return [whole]
    middle = len(messages) // 2
    return frames(messages[:middle]) + frames(messages[middle:])


class FrameReader:
    """Cuts a byte stream into frames. Feed it whatever arrived."""

    def __init__(self, frame_bytes_max: int = FRAME_BYTES_MAX) -> None:
        self.frame_bytes_max = frame_bytes_max
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """The payloads that are complete now.

        Raises:
            StreamError: a frame is longer than ``frame_bytes_max``.
        """
        buffer = self._buffer
        buffer += data
        payloads: list[bytes] = []
        start = 0
        available = len(buffer)
        while available - start >= _HEADER_BYTES:
            length = int.from_bytes(buffer[start : start + _HEADER_BYTES], "big")
            if length > self.frame_bytes_max:
                raise StreamError(f"frame of {length} bytes; at most {self.frame_bytes_max} are allowed")
            end = start + _HEADER_BYTES + length
            if end > available:
                break
            payloads.append(bytes(buffer[start + _HEADER_BYTES : end]))
            start = end
        if start:
            del buffer[:start]
        return payloads


def decode_to_host(payload: bytes) -> list[ToHost]:
    try:
        return _decode_to_host(payload)
    except (ValueError, RecursionError) as error:
        raise StreamError(str(error)) from None


def decode_to_router(payload: bytes) -> list[ToRouter]:
    try:
        return _decode_to_router(payload)
    except (ValueError, RecursionError) as error:
        raise StreamError(str(error)) from None


def router_proof(secret: bytes, challenge: Challenge, nonce: bytes, router: str) -> bytes:
    """What a router shows to be let in: HMAC-SHA256 over both nonces and its name."""
    return hmac.digest(secret, b"router" + challenge.nonce + nonce + router.encode(), "sha256")


def host_proof(secret: bytes, challenge: Challenge, nonce: bytes, incarnation: Incarnation) -> bytes:
    """What a host shows to be believed: HMAC-SHA256 over both nonces and its incarnation."""
    return hmac.digest(secret, b"host" + challenge.nonce + nonce + str(incarnation).encode(), "sha256")


def is_equal(proof: bytes, expected: bytes) -> bool:
    """Whether a proof holds, in a time that does not tell how much of it does."""
    return hmac.compare_digest(proof, expected)
