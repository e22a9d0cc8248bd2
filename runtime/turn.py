"""The body of a journal row: ``[events, reply, pushes, reminders]`` in MessagePack.

Written once by the host that ran the turn; read on replay (events), on a repeated command id
(reply), on resume (pushes) and by the event relay (events).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from runtime.behavior import Push
from runtime.journal import PushRecord, StoredTurn
from runtime.stream import Pushed


class TurnBody(NamedTuple):
    """``events`` stay undecoded until their actor's union of events is known."""

    events: msgspec.Raw
    reply: msgspec.Raw
    pushes: list[PushRecord]
    reminders: list[tuple[str, int | None]]
    """``(name, due_ms)`` of those set, ``(name, None)`` of those gone."""


encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(TurnBody).decode


_ARRAY_OF_FOUR = b"\x94"


def encode_body(
    events: Sequence[msgspec.Struct],
    reply: msgspec.Struct | Mapping[str, Any],
    pushes: Sequence[Push],
    reminders: Sequence[tuple[str, int | None]],
) -> tuple[bytes, bytes, bytes | None]:
    """``(body, reply, pushes)``: the row's body, and the parts of it that leave the house, encoded
    once. ``pushes`` reads as a list of ``PushRecord``; None when there are none."""
    reply_bytes = encode(reply)
    push_bytes = encode(pushes)
    body = b"".join((_ARRAY_OF_FOUR, encode(events), reply_bytes, push_bytes, encode(reminders)))
    return body, reply_bytes, push_bytes if pushes else None


def decode_body(body: bytes) -> TurnBody:
    return _decode(body)


def pushed_by(turn: StoredTurn) -> Pushed:
    """The outgoing events of a stored turn, exactly as they were sent the first time."""
    pushes = decode_body(turn.body).pushes
    return Pushed(turn.actor, turn.push_seq - len(pushes) + 1, turn.recorded_ms, pushes)
