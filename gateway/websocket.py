"""The WebSocket server: a thin asyncio shell around frames and the connection's state machine.

Takes over an upgrade request from uvicorn's HTTP protocol (``Config(ws=…)``) and owns the
transport from then on. No ASGI, no task and no timer per connection: this is the hot path.
It decides nothing about messages; that is ``gateway.protocol``.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable, Mapping
from functools import partial
from http import HTTPStatus
from typing import Any, cast

from uvicorn.config import Config
from uvicorn.server import ServerState
from websockets.exceptions import NegotiationError
from websockets.http11 import Request, Response
from websockets.server import ServerProtocol
from websockets.typing import Origin, Subprotocol

from gateway.broadcast import Membership
from gateway.codec import CODECS, Codec
from gateway.fanout import Subscription, session_of
from gateway.frames import CLOSE, PING, PONG, FrameReader, Message, close_code, close_frame, frame
from gateway.hub import Hub
from gateway.protocol import Connection
from gateway.revocations import Verdict
from gateway.schema import CLOSE_SLOW_CONSUMER, CLOSE_TIMEOUT, PATH
from runtime.identity import ActorId
from runtime.stream import Failure, Result

_log = logging.getLogger(__name__)

_BAD_REQUEST = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
_SUBPROTOCOLS = [Subprotocol(name) for name in CODECS]
# Its own messages would quote what clients send.
_silent = logging.getLogger("gateway.websocket.handshake")
_silent.addHandler(logging.NullHandler())
_silent.propagate = False


class RealtimeSocket(asyncio.Protocol):
    """One client. ``partial(RealtimeSocket, hub)`` is what uvicorn calls."""

    __slots__ = (
        "_actor",
        "_closing_at",
        "_connection",
        "_heard_at",
        "_hub",
        "_is_paused",
        "_limits",
        "_memberships",
        "_opcode",
        "_pinged_at",
        "_reader",
        "_subscription",
        "_transport",
        "_uvicorn_connections",
        "pending",
        "write",
    )

    def __init__(
        self, hub: Hub, *, config: Config, server_state: ServerState, app_state: dict[str, Any]
    ) -> None:
        self._hub = hub
        self._limits = hub.limits
        self._uvicorn_connections = cast("set[object]", server_state.connections)
        self._transport: asyncio.Transport = None  # type: ignore[assignment]
        self._reader: FrameReader | None = None
        self._connection: Connection = None  # type: ignore[assignment]
        self._subscription: Subscription | None = None
        self._actor: ActorId = None  # type: ignore[assignment]
        self._opcode = 0
        self._heard_at = 0.0
        self._pinged_at: float | None = None
        self._closing_at: float | None = None
        self._memberships: dict[str, Membership] = {}
        self._is_paused = False
        self.pending: list[bytes] = []
        """What was sent in this turn of the loop and is not written yet."""
        self.write: Callable[[bytes], None] = None  # type: ignore[assignment]

    # asyncio and uvicorn

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self.write = self._transport.write
        self._uvicorn_connections.add(self)
        self._heard_at = self._hub.clock.monotonic()

    def data_received(self, data: bytes) -> None:
        now = self._heard_at = self._hub.clock.monotonic()
        reader = self._reader
        if reader is None:
            self._open(data, now)
            return
        counters = self._hub.counters
        opcode = self._opcode
        receive = self._connection.receive
        for message in reader.feed(data):
            if message.opcode == opcode:
                counters.messages_received += 1
                receive(message.payload, now)
            else:
                self._control(message, now)
        if reader.violation is not None:
            self._connection.close(reader.violation.code, reader.violation.reason)
            # The answer to our close cannot be told from noise any more: let the client hang up.
            if self._transport.can_write_eof() and not self._transport.is_closing():
                self._transport.write_eof()

    def eof_received(self) -> None:
        """Returning None closes the transport."""

    def connection_lost(self, exc: Exception | None) -> None:
        self._uvicorn_connections.discard(self)
        self.pending.clear()
        if self._reader is None:
            return
        self._hub.sockets.discard(self)
        self._hub.counters.connections_closed += 1
        if self._actor is not None:
            _log.info(
                "socket unregistered",
                extra={"actor": self._actor, "connection": self._connection.connection_id},
            )
        self._connection.closed()
        self._unsubscribe()

    def pause_writing(self) -> None:
        """There is unsent data, more than the topics' ticks may add to."""
        self._is_paused = True
        for member in self._memberships.values():
            member.pause()

    def resume_writing(self) -> None:
        self._is_paused = False
        for member in self._memberships.values():
            member.resume()

    def shutdown(self) -> None:
        """uvicorn is stopping. Sockets that are still here were not drained."""
        self.restart(1012, "service restart")

    # The opening handshake

    def _open(self, data: bytes, now: float) -> None:
        hub = self._hub
        handshake = ServerProtocol(
            origins=[None, *(Origin(origin) for origin in hub.allowed_origins)],
            subprotocols=_SUBPROTOCOLS,
            select_subprotocol=_select_subprotocol,
            logger=_silent,
        )
        handshake.receive_data(data)
        request = next((event for event in handshake.events_received() if isinstance(event, Request)), None)
        if request is None:
            # The parser has given up: it takes no response either.
            hub.counters.handshakes_refused += 1
            self._transport.write(_BAD_REQUEST)
            self._transport.close()
            return
        if request.path.partition("?")[0] != PATH:
            self._refuse(handshake, handshake.reject(HTTPStatus.NOT_FOUND, "Not found.\n"))
            return
        if hub.is_draining or len(hub.sockets) >= self._limits.connections_max:
            full = handshake.reject(HTTPStatus.SERVICE_UNAVAILABLE, "Try again later.\n")
            full.headers["Retry-After"] = "1"
            self._refuse(handshake, full)
            return
        response = handshake.accept(request)
        if response.status_code != HTTPStatus.SWITCHING_PROTOCOLS:
            self._refuse(handshake, response)
            return
        handshake.send_response(response)
        self._transport.write(b"".join(handshake.data_to_send()))
        self._begin(CODECS[str(handshake.subprotocol)], now)

    def _refuse(self, handshake: ServerProtocol, response: Response) -> None:
        self._hub.counters.handshakes_refused += 1
        handshake.send_response(response)
        self._transport.write(b"".join(handshake.data_to_send()))
        self._transport.close()

    def _begin(self, codec: Codec, now: float) -> None:
        hub = self._hub
        self._opcode = codec.opcode
        self._reader = FrameReader(codec.opcode, self._limits.message_bytes_max)
        self._connection = Connection(hub.terms, codec, self, secrets.token_hex(8), now)
        hub.sockets.add(self)
        hub.counters.connections_opened += 1

    # What the connection asks for (gateway.protocol.Actions)

    def send(self, frames: bytes) -> None:
        pending = self.pending
        if not pending:
            self._hub.flush_soon(self)
        pending.append(frames)

    def submit(self, command_id: str, name: str, data: bytes) -> None:
        done = partial(self._answered, command_id, name, self._heard_at)
        self._hub.router.submit(self._actor, command_id, name, data, done)

    def _answered(self, command_id: str, name: str, heard_at: float, outcome: Result | Failure) -> None:
        hub = self._hub
        counters = hub.counters
        counters.command_seconds.observe(hub.clock.monotonic() - heard_at)
        if isinstance(outcome, Result):
            counters.commands_done[name] += 1
        else:
            counters.commands_failed[name, outcome.code] += 1
        if hub.is_tracing:
            code = outcome.code if isinstance(outcome, Failure) else "ok"
            extra = {"actor": self._actor, "command": name, "command_id": command_id, "outcome": code}
            _log.debug("command answered", extra=extra)
        self._connection.answered(command_id, outcome)

    def subscribe(self, user_id: str, after: int | None) -> None:
        self._actor = session_of(user_id)
        _log.info(
            "socket registered",
            extra={"actor": self._actor, "connection": self._connection.connection_id, "after": after},
        )
        subscription = self._hub.fanout.subscribe(user_id, after, self._connection)
        if self._closing_at is None:
            self._subscription = subscription
        else:
            # Attaching failed before ``subscribe`` returned.
            self._hub.fanout.unsubscribe(subscription)

    def close(self, code: int, reason: str) -> None:
        self._hub.counters.closes_sent[code] += 1
        _log.info(
            "socket closed",
            extra={"connection": self._connection.connection_id, "code": code, "reason": reason},
        )
        self._closing_at = self._hub.clock.monotonic()
        self.pending.append(close_frame(code, reason))
        self._write_pending()
        self._unsubscribe()

    def join_topic(self, topic: str) -> None:
        if not self._memberships:
            self._transport.set_write_buffer_limits(self._limits.tick_backlog_bytes_max, 0)
        before = self._memberships.get(topic)
        member = self._memberships[topic] = self._hub.topics.join(topic, self)
        if self._is_paused:
            member.pause()
        if before is not None:
            self._hub.topics.leave(before)

    def leave_topic(self, topic: str) -> None:
        self._hub.topics.leave(self._memberships.pop(topic))

    def _unsubscribe(self) -> None:
        """Nobody may write to this socket any more."""
        if self._subscription is not None:
            self._hub.fanout.unsubscribe(self._subscription)
        for member in self._memberships.values():
            self._hub.topics.leave(member)
        self._memberships.clear()

    # Control frames and writing

    def _control(self, message: Message, now: float) -> None:
        if message.opcode == CLOSE:
            if self._connection.closed():
                code = close_code(message.payload)
                self.pending.append(close_frame(code, "") if code != 1005 else frame(CLOSE, b""))
                self._write_pending()
            self._unsubscribe()
            # Ours was answered, or theirs is.
            self._closing_at = now
            self._transport.close()
        elif self._closing_at is None and self._connection.charge(now) and message.opcode == PING:
            self.send(frame(PONG, message.payload))

    def flush(self) -> None:
        """Write what was sent since the last flush, in one call."""
        if self.pending and self._closing_at is None:
            if self._transport.get_write_buffer_size() > self._limits.outgoing_bytes_max:
                self.pending.clear()
                self._connection.close(CLOSE_SLOW_CONSUMER, "slow consumer")
            else:
                self._write_pending()

    def _write_pending(self) -> None:
        pending = self.pending
        frames = pending[0] if len(pending) == 1 else b"".join(pending)
        pending.clear()
        if not self._transport.is_closing():
            self._transport.write(frames)

    # What a topic sees of it (gateway.broadcast.Outlet)

    @property
    def codec(self) -> Codec:
        return self._connection.codec

    # The hub's sweep and drain (gateway.hub.Socket)

    @property
    def in_flight(self) -> int:
        return self._connection.in_flight

    def sweep(self, now: float) -> None:
        """Check every deadline of this connection."""
        limits = self._limits
        if self._closing_at is not None:
            if now >= self._closing_at + limits.close_deadline_s:
                self._transport.abort()
            return
        self._connection.check_deadline(now)
        if self._closing_at is not None:
            return
        if self._pinged_at is not None and self._heard_at > self._pinged_at:
            self._pinged_at = None
        if self._pinged_at is None:
            if now >= self._heard_at + limits.ping_interval_s:
                self._pinged_at = now
                self.send(frame(PING, b""))
        elif now >= self._pinged_at + limits.pong_deadline_s:
            self._connection.close(CLOSE_TIMEOUT, "no pong")

    def signed_out(self, verdicts: Mapping[str, Verdict]) -> None:
        if self._reader is not None:
            self._connection.signed_out(verdicts)

    def restart(self, code: int, reason: str) -> None:
        if self._reader is None:
            self._transport.close()
        else:
            self._connection.close(code, reason)

    def abort(self) -> None:
        self._transport.abort()


def _select_subprotocol(handshake: ServerProtocol, offered: Any) -> Subprotocol:
    for name in _SUBPROTOCOLS:
        if name in offered:
            return name
    raise NegotiationError(f"offer one of the subprotocols {', '.join(_SUBPROTOCOLS)}")
