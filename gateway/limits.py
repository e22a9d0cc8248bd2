"""Every bound of the gateway, with its unit in its name.

Owns numbers only. Nothing in the gateway grows without one of these.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Per connection, unless it says otherwise. The defaults suit a game client."""

    message_bytes_max: int = 4096
    """Larger client messages close the connection (1009), judged by their header."""
    authentication_deadline_s: float = 10.0
    """From the opening handshake to a valid ``authenticate``."""
    in_flight_commands_max: int = 64
    messages_per_s: float = 2000.0
    messages_burst: int = 4000
    """Messages that may arrive at once. As many again beyond the rate close the connection (1008)."""
    invalid_messages_max: int = 64
    """Messages that are not well-formed commands, over the connection's life, before 1008."""
    outgoing_bytes_max: int = 1024 * 1024
    """Unsent bytes at which a client that does not read is cut off (4413)."""
    ping_interval_s: float = 20.0
    """Silence after which the client is pinged."""
    pong_deadline_s: float = 20.0
    close_deadline_s: float = 3.0
    """How long the closing handshake may take before the transport is aborted."""

    attach_attempts_max: int = 8
    """Tries to attach to the session's actor before the connection is given up (1013)."""
    attach_backoff_s: float = 0.05
    attach_backoff_max_s: float = 2.0
    buffered_pushes_max: int = 256
    """Turns buffered while an attach is on its way; more are fetched again instead."""

    sweep_interval_s: float = 1.0
    """Of the one timer that checks the deadlines of all connections of the process."""
    connections_max: int = 20_000
    """Sockets of one gateway process, HTTP and WebSocket together."""
    connections_per_user_max: int = 16
    """One more closes the user's oldest (4409)."""

    request_deadline_s: float = 10.0
    """From the first byte, or the opening, to a complete HTTP request."""
    request_head_bytes_max: int = 16 * 1024
    request_body_bytes_max: int = 64 * 1024
    drain_grace_s: float = 2.0
    """How long a drain waits for commands in flight before it closes their sockets."""
