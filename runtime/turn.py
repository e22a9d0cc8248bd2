"""The body of a journal row: ``[events, reply, pushes, reminders]`` in MessagePack.

Written once by the host that ran the turn; read on replay (events), on a repeated command id
(reply), on resume (pushes) and by the event relay (events).

A reply is one of three: a map, what the caller gets; an array ``[code, message]``, a refusal; or
text, the id of the command of the same actor whose reply the caller gets instead (see
``runtime.questions``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from runtime.behavior import Push, Refusal
from runtime.journal import PushRecord, StoredTurn
from runtime.stream import Failure, Pushed, Result


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
    reply: msgspec.Struct | Mapping[str, Any] | str,
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


_decode_refusal = msgspec.msgpack.Decoder(Refusal).decode
_decode_text = msgspec.msgpack.Decoder(str).decode


def deferred_to(reply: bytes) -> str | None:
    """The id of the command whose reply stands for this one; None for a reply that stands for itself."""
    kind = reply[0]
    return _decode_text(reply) if 0xA0 <= kind <= 0xBF or 0xD9 <= kind <= 0xDB else None


def answer_of(ref: int, reply: bytes) -> Result | Failure:
    """What a caller is told of a stored reply that is not deferred."""
    kind = reply[0]
    if 0x90 <= kind <= 0x9F:
        refusal = _decode_refusal(reply)
        return Failure(ref, refusal.code, refusal.message, False)
    return Result(ref, msgspec.Raw(reply))


def pushed_by(turn: StoredTurn) -> Pushed:
    """The outgoing events of a stored turn, exactly as they were sent the first time."""
    pushes = decode_body(turn.body).pushes
    return Pushed(turn.actor, turn.push_seq - len(pushes) + 1, turn.recorded_ms, pushes)
