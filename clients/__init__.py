"""A Python client for casino-club's realtime protocol, version 1.

Knows the protocol and nothing of the server's code. See ``clients/README.md`` for an example.
"""

from clients.backoff import Backoff
from clients.client import CasinoClient
from clients.crash_table import CrashTable
from clients.crash_watch import CrashWatch
from clients.errors import (
    AuthenticationFailed,
    ClientClosed,
    ClientError,
    CommandFailed,
    CommandTimeout,
    ConnectionLost,
    ProtocolViolation,
    UnfairRound,
)
from clients.protocol import Broadcast, Event
from clients.state import ClientState
from clients.subscription import BroadcastStream, EventStream

__all__ = [
    "AuthenticationFailed",
    "Backoff",
    "Broadcast",
    "BroadcastStream",
    "CasinoClient",
    "ClientClosed",
    "ClientError",
    "ClientState",
    "CommandFailed",
    "CommandTimeout",
    "ConnectionLost",
    "CrashTable",
    "CrashWatch",
    "Event",
    "EventStream",
    "ProtocolViolation",
    "UnfairRound",
]
