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
    token_grace_s: float = 60.0
    """How long a connection outlives the last access token that was shown on it (4401)."""
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

    topics_per_connection_max: int = 8
    topic_slice_sockets: int = 256
    """Sockets a topic writes to before the loop sees to everything else: 1 or 2 ms of work."""
    topic_queued_events_max: int = 256
    """Events of one topic that wait for their turn to be written. Past it they are all written at
    once, at the cost of whatever else the loop has to do: they are never dropped."""
    topic_view_interval_s: float = 0.1
    """Per topic and process: between two requests for the view. Whoever subscribes meanwhile shares
    the next one."""
    topic_linger_s: float = 2.0
    """How long a topic without subscribers stays attached."""
    tick_backlog_bytes_max: int = 0
    """Unsent bytes in the process beyond which a socket is a slow reader: of a topic's ticks it keeps
    the newest only, until everything unsent is gone. 0: as soon as the kernel takes no more."""
    kernel_unsent_bytes_max: int = 16 * 1024
    """Unsent bytes the kernel takes per socket (TCP_NOTSENT_LOWAT). Left to itself it takes megabytes
    before a slow reader shows, which is minutes of stale ticks. What is on its way to a reader that
    keeps up does not count, so this costs no throughput. 0: as much as the kernel likes."""

    answer_kept_s: float = 0.5
    """Per table: how old an answer of the public REST routes may be. A flood of requests reaches
    the table once in this time."""

    metrics_streams_max: int = 32
    """Readers of ``/api/metrics/stream``, of one gateway process."""

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
