"""The body of a journal row: ``[events, reply, pushes]`` in MessagePack.

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


encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(TurnBody).decode


def encode_body(
    events: Sequence[msgspec.Struct],
    reply: msgspec.Struct | Mapping[str, Any],
    pushes: Sequence[Push],
) -> tuple[bytes, msgspec.Raw, list[PushRecord]]:
    """The row's body, and the parts of it that leave the house."""
    reply_raw = msgspec.Raw(encode(reply))
    records = [PushRecord(push.type, msgspec.Raw(encode(push.data))) for push in pushes]
    return encode((events, reply_raw, records)), reply_raw, records


def decode_body(body: bytes) -> TurnBody:
    return _decode(body)


def pushed_by(turn: StoredTurn) -> Pushed:
    """The outgoing events of a stored turn, exactly as they were sent the first time."""
    pushes = decode_body(turn.body).pushes
    return Pushed(turn.actor, turn.push_seq - len(pushes) + 1, turn.recorded_ms, pushes)
