"""What the outside learns of a turn: its events, in one versioned JSON document per turn.

``{"version": 1, "actor": "session/u_…", "seq": 7, "command_id": "…", "recorded_ms": 1767225600000,
"events": [{"type": "slots_spun", …}, …]}``. An event is known by ``(actor, seq, index)``, where index is
its place in the list, from 0. Whoever gets a turn twice, as anybody may, knows it by ``(actor, seq)``.
``command_id`` is the id that the client chose: the same in its frame, the logs, the journal and here.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import msgspec

from runtime.identity import ActorId
from runtime.journal import StoredTurn
from runtime.turn import decode_body

ENVELOPE_VERSION = 1
"""Grows when a reader of the earlier version could misread; a new field alone does not."""

REDACTED = "redacted"
"""The only field of an event whose content must not leave the house, beside its type."""


class BadTurn(ValueError):
    """The body of a stored turn is not one that was written here, or nests too deep to be read."""


class BadEnvelope(ValueError):
    """These bytes are not an envelope of a version known here. The message says why."""


class TurnEvents(msgspec.Struct, frozen=True, gc=False):
    """The events of one turn, as they leave the house."""

    actor: ActorId
    seq: int
    command_id: str
    recorded_ms: int
    events: list[msgspec.Raw]
    """JSON objects, each with its ``type``."""
    version: int = ENVELOPE_VERSION


_decode_events = msgspec.msgpack.Decoder(list[dict[str, Any]]).decode
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(TurnEvents).decode


def events_of(turn: StoredTurn, secret_events: Collection[str]) -> TurnEvents:
    """The events of a stored turn. Of those whose type is secret only the type remains: that they
    happened is no secret, and nothing is missing in the count. Raises :class:`BadTurn`."""
    try:
        events = [
            msgspec.Raw(
                _encode({"type": event["type"], REDACTED: True} if event["type"] in secret_events else event)
            )
            for event in _decode_events(decode_body(turn.body).events)
        ]
    except (msgspec.MsgspecError, KeyError, TypeError, UnicodeError, RecursionError) as error:
        raise BadTurn(f"turn {turn.seq} of {turn.actor}: {type(error).__name__}: {error}") from None
    return TurnEvents(turn.actor, turn.seq, turn.command_id, turn.recorded_ms, events)


def encode_envelope(turn: TurnEvents) -> bytes:
    return _encode(turn)


def decode_envelope(envelope: bytes) -> TurnEvents:
    """Raises :class:`BadEnvelope`; the events themselves are not looked into."""
    try:
        turn = _decode(envelope)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise BadEnvelope(f"not an envelope: {error}") from None
    if turn.version != ENVELOPE_VERSION:
        raise BadEnvelope(f"version {turn.version}, known here is {ENVELOPE_VERSION}")
    return turn
