"""What of an event becomes a column, and how its row is written: ClickHouse's RowBinary.

RowBinary because it needs no escaping and no column of Python objects: 100,000 rows a second on one core,
four times what the client's own insert makes of lists.
"""

from __future__ import annotations

import struct
from functools import lru_cache
from typing import Any

import msgspec

from persistence.clickhouse.schema import TS_MS_MAX
from runtime.envelope import TurnEvents
from runtime.identity import key_of, kind_of

COLUMNS = (
    "ts",
    "actor",
    "user_id",
    "seq",
    "command_id",
    "index",
    "event_type",
    "action_type",
    "game",
    "stake",
    "payout",
    "wins",
    "losses",
    "data",
)
"""In the order of :func:`rows_of`."""

PLAYER_KIND = "session"
"""The key of an actor of this kind is a user's id."""

_SEQ_MAX = 2**63 - 1
_INT64 = range(-(2**63), 2**63)


class Unfit(ValueError):
    """A turn that the table has no room for, ever. The message says why."""


class _Fields(msgspec.Struct, gc=False):
    """Of an event. Other kinds of values than expected are no reason to lose it."""

    type: str
    action_type: Any = None
    game: Any = None
    stake: Any = None
    payout: Any = None


class _Type(msgspec.Struct, gc=False):
    type: str


_decode_fields = msgspec.json.Decoder(_Fields).decode
_decode_type = msgspec.json.Decoder(_Type).decode
_pack_ts = struct.Struct("<q").pack
_pack_seq = struct.Struct("<Q").pack
_pack_index = struct.Struct("<I").pack
_pack_play = struct.Struct("<qqBB").pack


def rows_of(turn: TurnEvents) -> list[bytes]:
    """A row for each event of the turn. Raises :class:`Unfit`."""
    if not 0 <= turn.recorded_ms <= TS_MS_MAX:
        raise Unfit(f"recorded at {turn.recorded_ms} ms")
    if not 0 <= turn.seq <= _SEQ_MAX:
        raise Unfit("its seq has more than 63 bits")
    try:
        user_id = key_of(turn.actor) if kind_of(turn.actor) == PLAYER_KIND else ""
        of_turn = b"".join(
            (
                _pack_ts(turn.recorded_ms),
                _text(turn.actor),
                _text(user_id),
                _pack_seq(turn.seq),
                _text(turn.command_id),
            )
        )
        return [
            of_turn + _pack_index(index) + _of_event(bytes(event)) for index, event in enumerate(turn.events)
        ]
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise Unfit(f"not an event: {error}") from None


_NO_PLAY = b"\x00" + _pack_play(0, 0, 0, 0)


def _of_event(event: bytes) -> bytes:
    """The columns of an event itself. A play is what has a game, a stake and a payout."""
    try:
        fields = _decode_fields(event)
    except msgspec.ValidationError:
        # A number that no float holds, say, where we would look for a stake.
        kind = _name(_decode_type(event).type)
        return kind + kind + _NO_PLAY + _length(len(event)) + event
    kind = _name(fields.type)
    action = _name(fields.action_type) if isinstance(fields.action_type, str) else kind
    game, stake, payout = fields.game, fields.stake, fields.payout
    if (
        type(stake) is int
        and type(payout) is int
        and isinstance(game, str)
        and stake in _INT64
        and payout in _INT64
    ):
        play = _name(game) + _pack_play(stake, payout, payout > stake, payout < stake)
    else:
        play = _NO_PLAY
    return kind + action + play + _length(len(event)) + event


def _text(text: str) -> bytes:
    encoded = text.encode()
    return _length(len(encoded)) + encoded


_name = lru_cache(maxsize=1024)(_text)
"""For names of which there are few."""


def _length(length: int) -> bytes:
    """LEB128."""
    if length < 0x80:
        return bytes((length,))
    groups = bytearray()
    while length >= 0x80:
        groups.append(length & 0x7F | 0x80)
        length >>= 7
    groups.append(length)
    return bytes(groups)
