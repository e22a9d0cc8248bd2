"""The frames of protocol version 1 that a spin needs, as a server sees them. Pure.

Owns no connection. The client's side, with all of the protocol, is ``clients.protocol``.
"""

from __future__ import annotations

import msgspec


class ClientFrame(msgspec.Struct, gc=False):
    """``data`` stays encoded until its type is known."""

    type: str
    id: str
    data: msgspec.Raw = msgspec.Raw(b"\x80")


class _Authenticate(msgspec.Struct, gc=False):
    token: str


class _Result(msgspec.Struct, tag="result", gc=False):
    id: str
    data: msgspec.Raw


class _ErrorData(msgspec.Struct, gc=False):
    code: str
    message: str
    retryable: bool


class _Error(msgspec.Struct, tag="error", gc=False):
    id: str | None
    data: _ErrorData


encode = msgspec.msgpack.Encoder().encode
decode_frame = msgspec.msgpack.Decoder(ClientFrame).decode
_decode_authenticate = msgspec.msgpack.Decoder(_Authenticate).decode


def token_of(frame: ClientFrame) -> str:
    """Raises ``msgspec.DecodeError`` when the frame shows none."""
    return _decode_authenticate(frame.data).token


def result(command_id: str, data: bytes) -> bytes:
    """``data``: a MessagePack map."""
    return encode(_Result(command_id, msgspec.Raw(data)))


def error(command_id: str | None, code: str, message: str, retryable: bool = False) -> bytes:
    return encode(_Error(command_id, _ErrorData(code, message, retryable)))
