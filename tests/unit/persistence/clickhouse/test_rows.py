from __future__ import annotations

import struct
from typing import Any

import msgspec
import pytest

from persistence.clickhouse.rows import COLUMNS, Unfit, rows_of
from runtime.envelope import TurnEvents
from runtime.identity import ActorId

INTEGERS = {"ts": "<q", "seq": "<Q", "index": "<I", "stake": "<q", "payout": "<q", "wins": "B", "losses": "B"}


def read(row: bytes) -> dict[str, Any]:
    """RowBinary, as ClickHouse documents it."""
    values: dict[str, Any] = {}
    at = 0
    for column in COLUMNS:
        if form := INTEGERS.get(column):
            (values[column],) = struct.unpack_from(form, row, at)
            at += struct.calcsize(form)
            continue
        length = shift = 0
        while True:
            group = row[at]
            at += 1
            length |= (group & 0x7F) << shift
            shift += 7
            if group < 0x80:
                break
        values[column] = row[at : at + length].decode()
        at += length
    assert at == len(row)
    return values


def turn(*events: object, actor: str = "session/ann", seq: int = 7, at_ms: int = 1_000) -> TurnEvents:
    raw = [msgspec.Raw(event if isinstance(event, bytes) else msgspec.json.encode(event)) for event in events]
    return TurnEvents(ActorId(actor), seq, "command-1", at_ms, raw)


def row(event: object) -> dict[str, Any]:
    (encoded,) = rows_of(turn(event))
    return read(encoded)


def test_every_event_has_a_row_in_order() -> None:
    rows = [read(row) for row in rows_of(turn({"type": "a"}, {"type": "b"}))]
    assert [(row["index"], row["event_type"]) for row in rows] == [(0, "a"), (1, "b")]
    assert {(row["ts"], row["actor"], row["user_id"], row["seq"], row["command_id"]) for row in rows} == {
        (1_000, "session/ann", "ann", 7, "command-1")
    }
    assert rows_of(turn()) == []


def test_only_a_session_is_a_user() -> None:
    (encoded,) = rows_of(turn({"type": "a"}, actor="crash/main"))
    assert read(encoded)["user_id"] == ""


@pytest.mark.parametrize(("payout", "wins", "losses"), [(11, 1, 0), (10, 0, 0), (9, 0, 1), (0, 0, 1)])
def test_a_play_is_won_lost_or_neither(payout: int, wins: int, losses: int) -> None:
    play = row({"type": "spun", "game": "slots", "stake": 10, "payout": payout})
    assert (play["game"], play["stake"], play["payout"]) == ("slots", 10, payout)
    assert (play["wins"], play["losses"]) == (wins, losses)


@pytest.mark.parametrize(
    "event",
    [
        {"type": "a", "game": "slots", "stake": 10},
        {"type": "a", "stake": 10, "payout": 10},
        {"type": "a", "game": "slots", "stake": 10.0, "payout": 1},
        {"type": "a", "game": "slots", "stake": True, "payout": 1},
        {"type": "a", "game": "slots", "stake": 10, "payout": 2**63},
        {"type": "a", "game": "slots", "stake": -(2**63) - 1, "payout": 0},
        {"type": "a", "game": None, "stake": 1, "payout": 0},
        b'{"type":"a","game":"slots","stake":1e400,"payout":1}',
    ],
)
def test_what_is_not_quite_a_play_is_none(event: object) -> None:
    read = row(event)
    assert (read["game"], read["stake"], read["payout"], read["wins"], read["losses"]) == ("", 0, 0, 0, 0)
    assert read["event_type"] == "a"


def test_an_action_has_a_type_of_its_own() -> None:
    assert row({"type": "action_logged", "action_type": "clicked"})["action_type"] == "clicked"
    assert row({"type": "spun"})["action_type"] == "spun"
    assert row({"type": "action_logged", "action_type": 7})["action_type"] == "action_logged"


@pytest.mark.parametrize("length", [0, 1, 127, 128, 16_383, 16_384, 2_097_152])
def test_texts_of_any_length_are_kept(length: int) -> None:
    event = msgspec.json.encode({"type": "a", "text": "ä" * length})
    assert row(event)["data"] == event.decode()


@pytest.mark.parametrize(
    "bad",
    [
        turn(b"[1]"),
        turn(b"{}"),
        turn(b'{"type":1}'),
        turn(b'{"type":"a"'),
        turn(b'{"type":"\xff"}'),
        turn(b'{"type":"a","x":' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
        turn({"type": "a"}, at_ms=-1),
        turn({"type": "a"}, at_ms=2**32 * 1000),
        turn({"type": "a"}, seq=-1),
        turn({"type": "a"}, seq=2**63),
        turn({"type": "a"}, actor="session/\ud800"),
    ],
)
def test_what_no_row_can_hold_is_unfit(bad: TurnEvents) -> None:
    with pytest.raises(Unfit):
        rows_of(bad)
