"""The two subprotocols: from envelopes to WebSocket frames and back.

Owns the encoding of envelopes. Whatever is encoded here is a finished frame that may be written
to any number of sockets of the same subprotocol. Inside the house data is always MessagePack;
``casino.v1.json`` transcodes at the edge and is meant for debugging.
"""

from __future__ import annotations

from typing import Any, Protocol

import msgspec

from gateway.catalogue import UNREADABLE, Command
from gateway.frames import BINARY, TEXT, frame
from gateway.schema import (
    SUBPROTOCOL_JSON,
    SUBPROTOCOL_MESSAGEPACK,
    AuthenticateData,
    ClientFrame,
    ErrorFrame,
    EventFrame,
    ResultFrame,
    TopicData,
)

_to_messagepack = msgspec.msgpack.Encoder().encode
_to_json = msgspec.json.Encoder().encode
_from_messagepack = msgspec.msgpack.Decoder().decode


def raw_map(value: msgspec.Struct) -> msgspec.Raw:
    """A Struct as the MessagePack map that envelopes carry."""
    return msgspec.Raw(_to_messagepack(value))


class Codec(Protocol):
    """Decoders raise one of ``gateway.catalogue.UNREADABLE``."""

    @property
    def subprotocol(self) -> str: ...
    @property
    def opcode(self) -> int: ...
    def envelope(self, payload: bytes) -> ClientFrame: ...
    def anything(self, payload: bytes) -> Any: ...
    def authenticate(self, data: msgspec.Raw) -> AuthenticateData: ...
    def topic(self, data: msgspec.Raw) -> TopicData: ...
    def command(self, command: Command, data: msgspec.Raw) -> bytes: ...
    def result(self, command_id: str, data: msgspec.Raw) -> bytes: ...
    def error(self, error: ErrorFrame) -> bytes: ...
    def event(self, event: EventFrame) -> bytes: ...


class MessagePackCodec:
    """``casino.v1.msgpack``: one MessagePack map per binary frame."""

    subprotocol = SUBPROTOCOL_MESSAGEPACK
    opcode = BINARY

    def __init__(self) -> None:
        self.envelope = msgspec.msgpack.Decoder(ClientFrame).decode
        self.anything = _from_messagepack
        self.authenticate = msgspec.msgpack.Decoder(AuthenticateData).decode
        self.topic = msgspec.msgpack.Decoder(TopicData).decode

    def command(self, command: Command, data: msgspec.Raw) -> bytes:
        return command.from_messagepack(data)

    def result(self, command_id: str, data: msgspec.Raw) -> bytes:
        return frame(BINARY, _to_messagepack(ResultFrame(command_id, data)))

    def error(self, error: ErrorFrame) -> bytes:
        return frame(BINARY, _to_messagepack(error))

    def event(self, event: EventFrame) -> bytes:
        return frame(BINARY, _to_messagepack(event))


class JsonCodec:
    """``casino.v1.json``: the same maps as JSON text. Bytes become base64."""

    subprotocol = SUBPROTOCOL_JSON
    opcode = TEXT

    def __init__(self) -> None:
        self.envelope = msgspec.json.Decoder(ClientFrame).decode
        self.anything = msgspec.json.Decoder().decode
        self.authenticate = msgspec.json.Decoder(AuthenticateData).decode
        self.topic = msgspec.json.Decoder(TopicData).decode

    def command(self, command: Command, data: msgspec.Raw) -> bytes:
        return command.from_json(data)

    def result(self, command_id: str, data: msgspec.Raw) -> bytes:
        return frame(TEXT, _to_json(ResultFrame(command_id, _transcoded(data))))

    def error(self, error: ErrorFrame) -> bytes:
        return frame(TEXT, _to_json(error))

    def event(self, event: EventFrame) -> bytes:
        data = _transcoded(event.data)
        return frame(TEXT, _to_json(EventFrame(event.type, event.user_id, data, event.timestamp, event.seq)))


def _transcoded(data: msgspec.Raw) -> msgspec.Raw:
    try:
        return msgspec.Raw(_to_json(_from_messagepack(data)))
    except UNREADABLE:
        # A debugging aid must not break the stream that others read, too.
        return msgspec.Raw(b'{"unrepresentable":true}')


MESSAGEPACK: Codec = MessagePackCodec()
JSON: Codec = JsonCodec()
CODECS: dict[str, Codec] = {codec.subprotocol: codec for codec in (MESSAGEPACK, JSON)}
