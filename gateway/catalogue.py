"""The commands a client may give, compiled: from the data a client sent to canonical MessagePack.

Owns validation of command data against its CommandSpec. Must not know any command by name.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import msgspec
import msgspec.inspect

from runtime.behavior import CommandSpec

UNREADABLE = (ValueError, TypeError, OverflowError, RecursionError)
"""What msgspec raises on hostile input: its own errors are ValueErrors, and so are those of text that
is not UTF-8, which it lets through; RecursionError stands for deep nesting."""


class InvalidData(ValueError):
    """The data of a command does not fit its Struct. The message is for the client."""


class Command:
    """One command, ready to decode."""

    __slots__ = ("_encode", "_from_json", "_from_messagepack", "_may_hold_floats", "name")

    def __init__(self, spec: CommandSpec) -> None:
        self.name = spec.name
        self._from_messagepack = msgspec.msgpack.Decoder(spec.data).decode
        self._from_json = msgspec.json.Decoder(spec.data).decode
        self._encode = msgspec.msgpack.Encoder().encode
        self._may_hold_floats = _may_hold_floats(msgspec.inspect.type_info(spec.data), set())

    def from_messagepack(self, data: msgspec.Raw) -> bytes:
        """Decode strictly and encode again, so that only what was understood travels on."""
        try:
            value = self._from_messagepack(data)
        except UNREADABLE as error:
            raise InvalidData(str(error)) from None
        return self._canonical(value)

    def from_json(self, data: msgspec.Raw) -> bytes:
        try:
            value = self._from_json(data)
        except UNREADABLE as error:
            raise InvalidData(str(error)) from None
        return self._canonical(value)

    def _canonical(self, value: Any) -> bytes:
        if self._may_hold_floats:
            _refuse_non_finite(msgspec.to_builtins(value))
        try:
            return self._encode(value)
        except UNREADABLE as error:
            raise InvalidData(str(error)) from None


def player_commands(catalogue: Mapping[str, CommandSpec]) -> dict[str, Command]:
    """What a client may ask for: commands of the audience ``player``, by name."""
    return {name: Command(spec) for name, spec in catalogue.items() if spec.audience == "player"}


def _may_hold_floats(info: Any, seen: set[type]) -> bool:
    if isinstance(info, msgspec.inspect.FloatType | msgspec.inspect.AnyType | msgspec.inspect.RawType):
        return True
    if isinstance(info, msgspec.inspect.StructType):
        if info.cls in seen:
            return False
        seen.add(info.cls)
        return any(_may_hold_floats(field.type, seen) for field in info.fields)
    if isinstance(info, msgspec.inspect.Metadata):
        return _may_hold_floats(info.type, seen)
    if isinstance(info, msgspec.inspect.UnionType):
        return any(_may_hold_floats(option, seen) for option in info.types)
    plain = (
        msgspec.inspect.IntType,
        msgspec.inspect.StrType,
        msgspec.inspect.BoolType,
        msgspec.inspect.NoneType,
        msgspec.inspect.BytesType,
        msgspec.inspect.EnumType,
        msgspec.inspect.LiteralType,
    )
    return not isinstance(info, plain)


def _refuse_non_finite(value: Any) -> None:
    """msgspec lets NaN and the infinities pass as floats, and NaN passes every bound."""
    if isinstance(value, float):
        if not math.isfinite(value):
            raise InvalidData("Expected a finite number")
    elif isinstance(value, dict):
        for item in value.values():
            _refuse_non_finite(item)
    elif isinstance(value, list | tuple):
        for item in value:
            _refuse_non_finite(item)
