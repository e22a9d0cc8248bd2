"""A Python client for casino-club's realtime protocol, version 1.

Knows the protocol and nothing of the server's code. See ``clients/README.md`` for an example.
"""

from clients.backoff import Backoff
from clients.client import CasinoClient
from clients.errors import (
    AuthenticationFailed,
    ClientClosed,
    ClientError,
    CommandFailed,
    CommandTimeout,
    ConnectionLost,
    ProtocolViolation,
)
from clients.protocol import Event
from clients.state import ClientState
from clients.subscription import EventStream

__all__ = [
    "AuthenticationFailed",
    "Backoff",
    "CasinoClient",
    "ClientClosed",
    "ClientError",
    "ClientState",
    "CommandFailed",
    "CommandTimeout",
    "ConnectionLost",
    "Event",
    "EventStream",
    "ProtocolViolation",
]
