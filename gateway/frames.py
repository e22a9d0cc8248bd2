"""RFC 6455 frames, server side: parsing what clients send, building what they receive.

Pure: bytes in, messages out. No extensions. It must not know what a message means.
The opening handshake is not here (see ``gateway.websocket``).
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from websockets.speedups import apply_mask

CONTINUATION = 0x0
TEXT = 0x1
BINARY = 0x2
CLOSE = 0x8
PING = 0x9
PONG = 0xA

_FIN = 0x80
_RESERVED = 0x70
_MASKED = 0x80
_CONTROL = 0x08
_CONTROL_BYTES_MAX = 125

_SHORT_HEADERS = {
    opcode: [bytes((_FIN | opcode, length)) for length in range(126)]
    for opcode in (TEXT, BINARY, CLOSE, PING, PONG)
}
_pack_16 = struct.Struct("!BBH").pack
_pack_64 = struct.Struct("!BBQ").pack


class Violation(NamedTuple):
    """Why the connection must be closed, as a close code and a reason."""

    code: int
    reason: str


class Message(NamedTuple):
    """A complete message (TEXT, BINARY) or control frame (CLOSE, PING, PONG), unmasked."""

    opcode: int
    payload: bytes


class FrameReader:
    """Cuts a client's bytes into messages.

    After ``violation`` is set, or a CLOSE was read, everything that follows is discarded.
    Holds at most one incomplete message, whose size was checked against the frame's header.
    """

    __slots__ = ("_data_opcode", "_finished", "_fragments", "_message_bytes_max", "_rest", "violation")

    def __init__(self, data_opcode: int, message_bytes_max: int) -> None:
        self._data_opcode = data_opcode
        self._message_bytes_max = message_bytes_max
        self._rest = b""
        self._fragments: bytearray | None = None
        self._finished = False
        self.violation: Violation | None = None

    def feed(self, data: bytes) -> list[Message]:
        """Everything that is complete now, in order. Look at ``violation`` afterwards."""
        messages: list[Message] = []
        if self._finished:
            return messages
        if self._rest:
            data = self._rest + data
        start = 0
        available = len(data)
        plain = _FIN | self._data_opcode
        bytes_max = self._message_bytes_max
        while available - start >= 2:
            first = data[start]
            second = data[start + 1]
            length = second & 0x7F
            body = start + 2
            if length >= 126:
                width = 2 if length == 126 else 8
                if available - body < width:
                    if first & _CONTROL or not second & _MASKED:
                        self._fail_header(first, second, length)
                    break
                length = int.from_bytes(data[body : body + width], "big")
                body += width
                if length < (126 if width == 2 else 65536):
                    self._fail(1002, "length is not in its shortest form")
                    break
            # The one frame that is nearly always there needs no further question.
            if first != plain or self._fragments is not None or not second & _MASKED or length > bytes_max:
                self._fail_header(first, second, length)
                if self.violation is not None:
                    break
            end = body + 4 + length
            if end > available:
                break
            payload = apply_mask(data[body + 4 : end], data[body : body + 4])
            start = end
            if first == plain and self._fragments is None:
                if plain & 0x0F == TEXT and not self._is_utf8(payload):
                    break
                messages.append(Message(plain & 0x0F, payload))
                continue
            message = self._other(first, payload)
            if message is not None:
                messages.append(message)
            if self._finished:
                break
        self._rest = b"" if self._finished else data[start:]
        return messages

    def _fail(self, code: int, reason: str) -> None:
        self.violation = Violation(code, reason)
        self._finished = True
        self._fragments = None

    def _fail_header(self, first: int, second: int, length: int) -> None:
        """Set ``violation`` if this header may not stand here."""
        opcode = first & 0x0F
        if first & _RESERVED:
            self._fail(1002, "reserved bits must be 0")
        elif opcode not in (CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG):
            self._fail(1002, "unknown opcode")
        elif not second & _MASKED:
            self._fail(1002, "client frames must be masked")
        elif opcode & _CONTROL:
            if not first & _FIN:
                self._fail(1002, "control frame in fragments")
            elif length > _CONTROL_BYTES_MAX:
                self._fail(1002, "control frame too long")
        elif opcode == CONTINUATION and self._fragments is None:
            self._fail(1002, "nothing to continue")
        elif opcode != CONTINUATION and self._fragments is not None:
            self._fail(1002, "message inside a fragmented message")
        elif opcode not in (CONTINUATION, self._data_opcode):
            self._fail(
                1003, "text frame on a binary subprotocol" if opcode == TEXT else "binary frame on a text one"
            )
        elif length + len(self._fragments or b"") > self._message_bytes_max:
            self._fail(1009, f"message over {self._message_bytes_max} bytes")

    def _is_utf8(self, payload: bytes | bytearray) -> bool:
        try:
            payload.decode()
        except UnicodeDecodeError:
            self._fail(1007, "text is not UTF-8")
            return False
        return True

    def _other(self, first: int, payload: bytes) -> Message | None:
        """A fragment or a control frame whose header is good."""
        opcode = first & 0x0F
        if opcode & _CONTROL:
            if opcode == CLOSE:
                self._finished = True
                if (problem := _close_problem(payload)) is not None:
                    self.violation = problem
                    return None
            return Message(opcode, payload)
        # A bytearray, so that endless empty fragments take no memory.
        fragments = self._fragments
        if fragments is None:
            fragments = self._fragments = bytearray()
        fragments += payload
        if not first & _FIN:
            return None
        self._fragments = None
        if self._data_opcode == TEXT and not self._is_utf8(fragments):
            return None
        return Message(self._data_opcode, bytes(fragments))


def _close_problem(payload: bytes) -> Violation | None:
    if not payload:
        return None
    if len(payload) == 1:
        return Violation(1002, "close code cut short")
    code = int.from_bytes(payload[:2], "big")
    if not (1000 <= code <= 1003 or 1007 <= code <= 1014 or 3000 <= code <= 4999):
        return Violation(1002, "close code not allowed")
    try:
        payload[2:].decode()
    except UnicodeDecodeError:
        return Violation(1007, "close reason is not UTF-8")
    return None


def close_code(payload: bytes) -> int:
    """The code of a CLOSE message; 1005 when it carries none."""
    return int.from_bytes(payload[:2], "big") if payload else 1005


def frame(opcode: int, payload: bytes) -> bytes:
    """One unfragmented frame from the server: unmasked, so the same bytes serve every client."""
    length = len(payload)
    if length < 126:
        return _SHORT_HEADERS[opcode][length] + payload
    if length < 65536:
        return _pack_16(_FIN | opcode, 126, length) + payload
    return _pack_64(_FIN | opcode, 127, length) + payload


def close_frame(code: int, reason: str) -> bytes:
    """A CLOSE frame; the reason is cut to what fits a control frame."""
    text = reason.encode()[: _CONTROL_BYTES_MAX - 2].decode(errors="ignore").encode()
    return frame(CLOSE, code.to_bytes(2, "big") + text)
