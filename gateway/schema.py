"""Protocol v1: every envelope, error code and close code. The AsyncAPI document is made from here.

Owns shapes and their meaning, no behaviour. What commands and events carry in ``data`` is
the actors' business and reaches the gateway as CommandSpec and PushSpec.

The order on a connection::

    client  authenticate {token, resume_from?}       the first message, within the deadline
    server  result {user_id}                         the token is good; commands may follow at once
    server  sync_connected {connection_id, …}        seq null
    server  initial_state  (seq = position)          or, when resume_from could be served
            the missed events (resume_from + 1, …)
    server  events, seq growing by exactly one

Events of a command's turn precede its result, unless the session's owner is changing just then.
Beside the user's own stream there are topics, such as a Crash table. They are the connection's
affair, not the user's: whoever reconnects subscribes again::

    client  subscribe {topic}
    server  result {topic}
    server  the topic's view (``crash_state``)        user_id and seq null, like all of a topic's events
    server  its events, in order, none left out; only ticks, which the next one replaces, may be
    client  unsubscribe {topic}

A topic's view may come again at any time (events were missed on the way): it replaces everything
the client knows of the topic.

``initial_state`` may come again at any time (the missed events were no longer kept): it replaces
everything the client knows, and its seq is the new position. ``timestamp`` and ``server_time``
are milliseconds since the Unix epoch. In ``casino.v1.json`` the same maps are JSON text.

A connection ends with its token, a minute after the token's time is over (4401 ``token_expired``), unless
the client shows a newer one of the same user before, as often as it likes::

    client  authenticate {token}                     ``resume_from`` means nothing here: events go on
    server  result {user_id}                         it lasts as long as the new token now

A token that is refused there, or is another user's, changes nothing. When tokens are voided before their
time (a new password, a ban, another role, a logout everywhere), the connections that rest on them are closed.
"""

from __future__ import annotations

from typing import Annotated, NamedTuple

import msgspec
from msgspec import Meta

PATH = "/api/realtime/sync"
SUBPROTOCOL_MESSAGEPACK = "casino.v1.msgpack"
SUBPROTOCOL_JSON = "casino.v1.json"
ID_CHARS_MAX = 64

AUTHENTICATE = "authenticate"
SUBSCRIBE = "subscribe"
UNSUBSCRIBE = "unsubscribe"
SYNC_CONNECTED = "sync_connected"
INITIAL_STATE = "initial_state"


class ClientFrame(msgspec.Struct, gc=False):
    """What a client sends: ``authenticate`` first, then commands, ``subscribe``, ``unsubscribe``, and
    ``authenticate`` again with each newer token."""

    type: str
    id: str
    """Chosen by the client, 1 to 64 printable characters; the idempotency key of a command."""
    data: msgspec.Raw


class AuthenticateData(msgspec.Struct, forbid_unknown_fields=True):
    token: Annotated[str, Meta(min_length=1, max_length=2048, description="Access token")]
    resume_from: Annotated[
        Annotated[int, Meta(ge=0, le=2**63 - 1)] | None,
        Meta(description="seq of the last event this client has seen; absent for a fresh start"),
    ] = None


class AuthenticateResult(msgspec.Struct):
    user_id: str


class TopicData(msgspec.Struct, forbid_unknown_fields=True):
    """Data of ``subscribe`` and of ``unsubscribe``."""

    topic: Annotated[str, Meta(min_length=1, max_length=128, description="For example crash/main")]


class TopicResult(msgspec.Struct):
    topic: str


class ResultFrame(msgspec.Struct, tag="result", gc=False):
    """The reply to a command that was carried out. ``data`` follows from the command."""

    id: str
    data: msgspec.Raw


class ErrorData(msgspec.Struct):
    code: str
    """Stable; see ``ERRORS`` and the command's own."""
    message: str
    """For people."""
    retryable: bool
    """The same message, with the same id, may succeed later."""


class ErrorFrame(msgspec.Struct, tag="error", gc=False):
    """The reply to a command that was not carried out, or (id null) to what could not be read."""

    id: str | None
    data: ErrorData


class EventFrame(msgspec.Struct, gc=False):
    """Something happened to the user, on this connection or elsewhere, or to a topic."""

    type: str
    user_id: str | None
    """Null for a topic's events."""
    data: msgspec.Raw
    timestamp: int
    """When it happened, in ms since the Unix epoch."""
    seq: int | None
    """Gap-free per user. Null for ``sync_connected`` and for a topic's events."""


class ConnectionLimits(msgspec.Struct):
    message_bytes_max: int
    in_flight_commands_max: int
    messages_per_s: float
    messages_burst: int


class SyncConnectedData(msgspec.Struct):
    connection_id: str
    protocol: str
    """The subprotocol in use."""
    server_time: int
    """ms since the Unix epoch."""
    resumed: bool
    """True: the missed events follow. False: ``initial_state`` follows."""
    position: int
    """seq this client has reached once what follows is read."""
    limits: ConnectionLimits


class ErrorMeaning(NamedTuple):
    retryable: bool
    meaning: str


ERRORS: dict[str, ErrorMeaning] = {
    "invalid_message": ErrorMeaning(False, "Not a map of type, id and data."),
    "invalid_id": ErrorMeaning(False, "The id is not 1 to 64 printable characters."),
    "invalid_data": ErrorMeaning(False, "The data does not fit the command."),
    "unknown_command": ErrorMeaning(False, "There is no command of this type."),
    "not_authenticated": ErrorMeaning(False, "The first message must be authenticate."),
    "already_authenticated": ErrorMeaning(False, "This connection is another user's."),
    "token_invalid": ErrorMeaning(False, "The access token is not one of ours."),
    "token_expired": ErrorMeaning(False, "The access token was good once; get a new one."),
    "token_revoked": ErrorMeaning(
        False, "The user was signed out since the access token was made; get a new one."
    ),
    "banned": ErrorMeaning(False, "The account is banned."),
    "unknown_topic": ErrorMeaning(False, "There is no such topic."),
    "too_many_topics": ErrorMeaning(False, "This connection has as many topics as it may; leave one first."),
    "too_many_in_flight": ErrorMeaning(True, "Too many commands of this connection await their reply."),
    "rate_limited": ErrorMeaning(True, "This connection sends faster than it may."),
    "id_reused": ErrorMeaning(False, "The id stands for another command already."),
    "rejected": ErrorMeaning(False, "The rules forbid it; nothing changed."),
    "overloaded": ErrorMeaning(True, "A queue is full; nothing changed."),
    "unavailable": ErrorMeaning(
        True, "Not answered in time; ask again with the same id to learn the outcome."
    ),
    "internal": ErrorMeaning(False, "A defect of the server; nothing changed."),
}
"""Errors that every command can meet. Commands list their own in their CommandSpec."""

CLOSE_NORMAL = 1000
CLOSE_POLICY = 1008
CLOSE_INTERNAL = 1011
CLOSE_RESTART = 1012
CLOSE_TRY_LATER = 1013
CLOSE_NOT_AUTHENTICATED = 4401
CLOSE_BANNED = 4403
CLOSE_TIMEOUT = 4408
CLOSE_REPLACED = 4409
CLOSE_SLOW_CONSUMER = 4413

CLOSES: dict[int, str] = {
    CLOSE_NORMAL: "The client closed.",
    1002: "The client broke RFC 6455.",
    1003: "Text on a binary subprotocol, or the other way round.",
    1007: "Text that is not UTF-8.",
    CLOSE_POLICY: "Sustained flood, or too many invalid messages. Do not reconnect at once.",
    1009: "A message over the size limit.",
    CLOSE_INTERNAL: "A defect of the server. Reconnect with a growing delay, and resume.",
    CLOSE_RESTART: "This gateway is going away. Reconnect at once, and resume.",
    CLOSE_TRY_LATER: "The session could not be reached in time. Reconnect with a growing delay, and resume.",
    CLOSE_NOT_AUTHENTICATED: "No valid token, or no longer. Get one, then reconnect, and resume.",
    CLOSE_BANNED: "The account is banned. Do not reconnect.",
    CLOSE_TIMEOUT: "Not authenticated in time, or silent for too long. Reconnect, and resume.",
    CLOSE_REPLACED: "The user opened too many connections; this was the oldest. Do not reconnect.",
    CLOSE_SLOW_CONSUMER: "The client does not read fast enough. Reconnect, and resume.",
}
"""Close codes the server sends, and what a client does about them."""
