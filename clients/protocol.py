"""Protocol version 1 as a client sees it: frames, correlation, event order. No sockets, no time.

Feed it what arrives, send what it returns. One :class:`Protocol` lives as long as the player's
session does and survives any number of connections: it knows which commands still wait for an
answer (to be sent again, under the same ids) and the last event seen (to resume after it).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Union
from uuid import uuid4

import msgspec

from clients.errors import ProtocolViolation

SUBPROTOCOL = "casino.v1.msgpack"
SYNC_PATH = "/api/realtime/sync"
GUEST_PATH = "/api/auth/guest"
LOGIN_PATH = "/api/auth/login"
REFRESH_PATH = "/api/auth/refresh"

CLOSE_NOT_AUTHENTICATED = 4401
"""The token is not, or no longer, valid: the same one will be refused again."""
CLOSE_BANNED = 4403
"""The account is banned."""
CLOSE_REPLACED = 4409
"""The player opened too many connections, and this was the oldest: coming back would only push
out another."""
FINAL_CLOSE_CODES = frozenset({CLOSE_NOT_AUTHENTICATED, CLOSE_BANNED, CLOSE_REPLACED})
"""After every other code (restart, overload, slow consumer, …) the client reconnects and resumes."""


class Command(msgspec.Struct):
    """A frame from client to server."""

    type: str
    id: str
    data: Mapping[str, Any]


class Frame(msgspec.Struct):
    """Any frame from server to client: replies have ``id``, events have ``seq``."""

    type: str
    id: str | None = None
    data: dict[str, Any] = {}
    user_id: str | None = ""
    timestamp: int | float | str | None = None
    seq: int | None = None


class Authenticated(msgspec.Struct, frozen=True):
    """The server took the token. Commands may be sent; those in flight must be sent again."""


class Renewed(msgspec.Struct, frozen=True):
    """The server took a newer token: the connection lasts as long as that one."""


class RenewalRefused(msgspec.Struct, frozen=True):
    """The server did not take it; the connection ends when the old one does."""

    code: str


class AuthenticationRefused(msgspec.Struct, frozen=True):
    code: str
    message: str
    retryable: bool


class Result(msgspec.Struct, frozen=True):
    """The durable answer to a command."""

    id: str
    data: dict[str, Any]


class Failure(msgspec.Struct, frozen=True):
    """The server refused a command. ``retryable``: the same id may be sent again."""

    id: str
    code: str
    message: str
    retryable: bool


class Event(msgspec.Struct, frozen=True):
    """Something that happened to the player. ``seq`` grows by one from event to event."""

    type: str
    user_id: str
    data: dict[str, Any]
    timestamp: int | float | str | None
    seq: int | None


class Broadcast(msgspec.Struct, frozen=True):
    """Something that happened on a topic, told to all of its subscribers. It has no number and no
    part in the order of the player's own events."""

    type: str
    data: dict[str, Any]
    timestamp: int | float | str | None


class Duplicate(msgspec.Struct, frozen=True):
    """An event that was seen before; drop it."""

    seq: int


class Gap(msgspec.Struct, frozen=True):
    """Events ``expected`` … ``received - 1`` are missing. Reconnect to resume after the last one
    seen; the event that revealed the gap will come again."""

    expected: int
    received: int


class Unexpected(msgspec.Struct, frozen=True):
    """A frame without a meaning here, such as an answer to a command that was given up."""

    frame: Frame


Happening = Union[
    Authenticated,
    AuthenticationRefused,
    Renewed,
    RenewalRefused,
    Result,
    Failure,
    Event,
    Broadcast,
    Duplicate,
    Gap,
    Unexpected,
]

encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Frame).decode


def decode_frame(payload: bytes | str) -> Frame:
    """Read a binary frame.

    Raises:
        ProtocolViolation: it is not a MessagePack map of the protocol.
    """
    if isinstance(payload, str):
        raise ProtocolViolation(f"a text frame on {SUBPROTOCOL}")
    try:
        return _decode(payload)
    except (msgspec.DecodeError, RecursionError) as error:
        raise ProtocolViolation(f"a frame that is not of protocol version 1: {error}") from None


class SequenceTracker:
    """Checks that event numbers grow by one, across connections."""

    __slots__ = ("duplicates", "gaps", "last", "regressions")

    def __init__(self, last: int | None = None) -> None:
        self.last = last
        """The last number seen, to resume after; None before the first."""
        self.duplicates = 0
        self.gaps = 0
        self.regressions = 0
        """Snapshots older than what was already seen: the server forgot events it had sent."""

    def observe(self, seq: int) -> int:
        """Take the next number. 0: as expected. -1: seen before. n > 0: n events are missing, and
        ``last`` stays where it was until :meth:`accept` says otherwise."""
        last = self.last
        if last is None or seq == last + 1:
            self.last = seq
            return 0
        if seq <= last:
            self.duplicates += 1
            return -1
        self.gaps += 1
        return seq - last - 1

    def accept(self, seq: int) -> None:
        """Continue after ``seq``, whatever is missing before it."""
        self.last = seq

    def restart(self, seq: int) -> None:
        """A snapshot as of ``seq`` replaces every event up to it."""
        if self.last is not None and seq < self.last:
            self.regressions += 1
        self.last = seq


class Protocol:
    """One player's side of the conversation."""

    def __init__(self, resume_from: int | None = None) -> None:
        self.sequence = SequenceTracker(resume_from)
        self.authenticated = False
        self._in_flight: dict[str, bytes] = {}
        self._authentication_id: str | None = None
        self._renewal_id: str | None = None
        self._gap_reported_at: int | None = None

    @property
    def last_seq(self) -> int | None:
        """Number of the last event seen: what the next connection resumes after."""
        return self.sequence.last

    def authenticate(self, token: str) -> bytes:
        """Begin a connection: the first frame to send on it."""
        self.authenticated = False
        self._authentication_id = uuid4().hex
        data: dict[str, Any] = {"token": token}
        if self.last_seq is not None:
            data["resume_from"] = self.last_seq
        return encode(Command("authenticate", self._authentication_id, data))

    def renewal(self, token: str) -> bytes:
        """Show a newer token on a connection that is authenticated."""
        self._renewal_id = uuid4().hex
        return encode(Command("authenticate", self._renewal_id, {"token": token}))

    def command(self, name: str, data: Mapping[str, Any], command_id: str) -> bytes:
        """Register a command and return its frame, to be sent now if there is a connection.

        Raises:
            ValueError: a command with this id is waiting for its answer.
        """
        if command_id in self._in_flight:
            raise ValueError(f"command id {command_id!r} is in flight")
        frame = encode(Command(name, command_id, data))
        self._in_flight[command_id] = frame
        return frame

    def forget(self, command_id: str) -> None:
        """Nobody waits for this answer any more. Does not undo the command."""
        self._in_flight.pop(command_id, None)

    def in_flight(self) -> list[bytes]:
        """The frames that wait for an answer, oldest first: send them again once authenticated."""
        return list(self._in_flight.values())

    def connection_lost(self) -> None:
        self.authenticated = False
        self._authentication_id = None

    def receive(self, payload: bytes | str) -> Happening:
        """What a frame means.

        Raises:
            ProtocolViolation: it means nothing; close the connection.
        """
        frame = decode_frame(payload)
        if frame.type == "result" or frame.type == "error":
            return self._answer(frame)
        return self._event(frame)

    def _answer(self, frame: Frame) -> Happening:
        if frame.id is None:
            if frame.type == "error" and not self.authenticated:
                return AuthenticationRefused(*_error(frame))
            return Unexpected(frame)
        if frame.id == self._authentication_id:
            if frame.type == "error":
                return AuthenticationRefused(*_error(frame))
            self.authenticated = True
            return Authenticated()
        if frame.id == self._renewal_id:
            return RenewalRefused(_error(frame)[0]) if frame.type == "error" else Renewed()
        if self._in_flight.pop(frame.id, None) is None:
            return Unexpected(frame)
        if frame.type == "result":
            return Result(frame.id, frame.data)
        return Failure(frame.id, *_error(frame))

    def _event(self, frame: Frame) -> Happening:
        seq = frame.seq
        if frame.user_id is None:
            return Broadcast(frame.type, frame.data, frame.timestamp)
        event = Event(frame.type, frame.user_id, frame.data, frame.timestamp, seq)
        if seq is None or frame.type == "sync_connected":
            return event
        if frame.type == "initial_state":
            self.sequence.restart(seq)
            return event
        missing = self.sequence.observe(seq)
        if missing == 0:
            return event
        if missing < 0:
            return Duplicate(seq)
        expected = seq - missing
        if self._gap_reported_at == expected:
            # Resuming did not fill it, so the server does not have these events. Going on is the
            # only way out of an endless reconnect; the tracker has counted the gap.
            self.sequence.accept(seq)
            return event
        self._gap_reported_at = expected
        return Gap(expected, seq)


def _error(frame: Frame) -> tuple[str, str, bool]:
    data = frame.data
    return (
        str(data.get("code", "unknown")),
        str(data.get("message", "")),
        data.get("retryable") is True,
    )
