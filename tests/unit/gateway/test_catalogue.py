"""Command data: decoded strictly, encoded canonically."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import pytest

from gateway.catalogue import Command, InvalidData, player_commands
from tests.unit.gateway.fakes import CATALOGUE, Bet, Spin, pack, raw, unpack

SPIN = Command(CATALOGUE["spin_slots"])
BET = Command(CATALOGUE["place_crash_bet"])


def test_only_players_commands_are_offered() -> None:
    assert set(player_commands(CATALOGUE)) == {"spin_slots", "place_crash_bet"}


def test_canonical_messagepack_whatever_the_spelling() -> None:
    canonical = pack(Spin(5))
    # stake as a 64-bit integer, keys in another order.
    spelled = b"\x82\xa7machine\xa7classic\xa5stake\xcf" + (5).to_bytes(8, "big")
    assert SPIN.from_messagepack(msgspec.Raw(spelled)) == canonical
    assert SPIN.from_json(msgspec.Raw(b' {"stake":\n5}')) == canonical


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"stake": 0},
        {"stake": True},
        {"stake": 5.0},
        {"stake": "5"},
        {"stake": None},
        {"stake": 5, "machine": 7},
        {"stake": 5, "extra": 1},
        {"stake": 2**64 - 1, "machine": b"x"},
        [5],
        5,
        None,
        "stake",
    ],
)
def test_misfits(data: Any) -> None:
    with pytest.raises(InvalidData):
        SPIN.from_messagepack(raw(data))
    if not isinstance(data, dict) or b"x" not in data.values():
        with pytest.raises(InvalidData):
            SPIN.from_json(msgspec.Raw(msgspec.json.encode(data)))


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_numbers_must_be_finite(value: float) -> None:
    with pytest.raises(InvalidData):
        BET.from_messagepack(raw({"stake": 5, "auto_cash_out": value}))


@pytest.mark.parametrize("text", [b"NaN", b"Infinity", b"1e999"])
def test_numbers_must_be_finite_in_json(text: bytes) -> None:
    with pytest.raises(InvalidData):
        BET.from_json(msgspec.Raw(b'{"stake":5,"auto_cash_out":' + text + b"}"))


def test_finite_numbers_pass() -> None:
    data = unpack(BET.from_messagepack(raw({"stake": 5, "auto_cash_out": 2.5})))
    assert data == msgspec.to_builtins(Bet(5, 2.5))


def test_floats_are_found_wherever_they_hide() -> None:
    command = Command(_spec(Outer))
    for data in ({"inner": {"deep": {"a": [1.0, math.nan]}}}, {"anything": [[math.inf]]}):
        with pytest.raises(InvalidData):
            command.from_messagepack(raw(data))


@pytest.mark.parametrize("depth", [1000, 100_000])
def test_deep_nesting(depth: int) -> None:
    class Anything(msgspec.Struct):
        value: Any = None

    command = Command(_spec(Anything))
    nested = b"\x81\xa5value" + b"\x91" * depth + b"\xc0"
    with pytest.raises(InvalidData):
        command.from_messagepack(msgspec.Raw(nested))
    with pytest.raises(InvalidData):
        command.from_json(msgspec.Raw(b'{"value":' + b"[" * depth + b"]" * depth + b"}"))


@pytest.mark.parametrize("data", [b"", b"\x82", b"\x81\xa5stake", b"\xc1", b"\x81\xa5sta\xff\xff\x01"])
def test_truncated_or_broken(data: bytes) -> None:
    with pytest.raises(InvalidData):
        SPIN.from_messagepack(msgspec.Raw(data))


class Inner(msgspec.Struct):
    deep: dict[str, list[float]]


class Outer(msgspec.Struct):
    inner: Inner | None = None
    anything: Any = None


def _spec(data: type[msgspec.Struct]) -> Any:
    return type(CATALOGUE["spin_slots"])("any", data, Spin, "Anything.")
