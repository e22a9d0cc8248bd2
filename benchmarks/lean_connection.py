"""A WebSocket connection that costs as little as Python allows, for thousands of bots per process.

Owns the per-frame work: decode type, id and seq, check the order of events, hand on the rest
undecoded. The rules are ``clients.protocol``'s (its ``SequenceTracker`` does the checking); what
answers mean to a bot is decided by its :class:`Owner`.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

import msgspec
from picows import WSError, WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

from clients.protocol import SUBPROTOCOL, SequenceTracker


class Header(msgspec.Struct, gc=False):
    """As much of a frame as must always be known. ``data`` stays encoded."""

    type: str
    id: str | None = None
    seq: int | None = None
    data: msgspec.Raw = msgspec.Raw(b"\x80")


class Owner(Protocol):
    """What a connection tells. Called on the event loop, from within the read."""

    def answered(self, connection: LeanConnection, header: Header) -> None:
        """A frame with an id: a result or an error."""
        ...

    def disconnected(self, connection: LeanConnection) -> None:
        """Called exactly once, whoever ended it. ``close_code`` is set."""
        ...


class EventCounter:
    """Counts of received events, shared by every connection of a process."""

    __slots__ = ("events", "malformed_frames", "snapshots")

    def __init__(self) -> None:
        self.events = 0
        self.snapshots = 0
        """``initial_state`` events: one per player, more when a resume was too old for a backfill."""
        self.malformed_frames = 0


_decode = msgspec.msgpack.Decoder(Header).decode
_BINARY = WSMsgType.BINARY


class LeanConnection(WSListener):
    """One connection. A gap in the events ends it, so that the owner resumes, as a client would."""

    def __init__(self, owner: Owner, tracker: SequenceTracker, counter: EventCounter) -> None:
        super().__init__()
        self.close_code = 1006
        self.close_reason = ""
        self.last_profile: msgspec.Raw | None = None
        """Data of the last ``profile_update`` (or ``initial_state``), still encoded."""
        self._owner = owner
        self._tracker = tracker
        self._counter = counter
        self._transport: WSTransport | None = None
        self._deaf = False

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._transport = transport

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if self._deaf:
            return
        if frame.msg_type is _BINARY:
            self._take(transport, frame.get_payload_as_bytes())
        else:
            self._control(transport, frame)

    def _take(self, transport: WSTransport, payload: bytes) -> None:
        try:
            header = _decode(payload)
        except msgspec.DecodeError:
            self._malformed(transport)
            return
        self._read(transport, header)

    def _read(self, transport: WSTransport, header: Header) -> None:
        seq = header.seq
        if seq is None:
            self._owner.answered(self, header)
            return
        tracker = self._tracker
        if tracker.last is not None and seq == tracker.last + 1:
            tracker.last = seq
            self._counter.events += 1
            self._happened(header)
            return
        self._unusual_event(transport, header, seq)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self._owner.disconnected(self)

    def pause_writing(self) -> None:
        """Nothing to do: a bot has a bounded number of small commands in flight."""

    def resume_writing(self) -> None:
        """See ``pause_writing``."""

    def send(self, frame: bytes) -> None:
        """Send a binary frame; silently nothing when the connection has ended."""
        transport = self._transport
        if transport is not None and not transport.is_disconnected:
            transport.send(_BINARY, frame)

    def drop(self) -> None:
        """End the connection without a goodbye, as a lost network does."""
        if self._transport is not None:
            self._transport.disconnect(graceful=False)

    def close(self) -> None:
        """End it politely."""
        transport = self._transport
        if transport is not None and not transport.is_disconnected:
            transport.send_close()
            transport.disconnect()

    def _happened(self, header: Header) -> None:
        """A numbered event, in its order and for the first time."""
        if header.type == "profile_update":
            self.last_profile = header.data

    def _restarted(self) -> None:
        """A snapshot came; ``last_profile`` has it."""

    def _unusual_event(self, transport: WSTransport, header: Header, seq: int) -> None:
        """Everything but the next number: the first event, a snapshot, a duplicate, a gap."""
        if header.type == "initial_state":
            self._counter.snapshots += 1
            self._tracker.restart(seq)
            self.last_profile = header.data
            self._restarted()
            return
        missing = self._tracker.observe(seq)
        if missing == 0:
            self._counter.events += 1
            self._happened(header)
        elif missing > 0:
            self._give_up(transport)

    def _control(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type is WSMsgType.CLOSE:
            payload = frame.get_payload_as_bytes()
            self.close_code = int.from_bytes(payload[:2], "big") if payload else 1005
            self.close_reason = payload[2:].decode(errors="replace")
            self.close()

    def _malformed(self, transport: WSTransport) -> None:
        self._counter.malformed_frames += 1
        self._give_up(transport)

    def _give_up(self, transport: WSTransport) -> None:
        self._deaf = True
        transport.disconnect(graceful=False)


async def connect(url: str, connection: LeanConnection, timeout_s: float = 10.0) -> None:
    """Connect to ``url`` (the WebSocket's own address).

    Raises:
        ConnectionError: it did not work; another attempt, with a new connection, may.
    """
    try:
        async with asyncio.timeout(timeout_s):
            await ws_connect(
                lambda: connection,
                url,
                extra_headers={"Sec-WebSocket-Protocol": SUBPROTOCOL},
                websocket_handshake_timeout=timeout_s,
                logger_name="bots",
            )
    except (OSError, WSError, TimeoutError) as error:
        raise ConnectionError(repr(error)) from error
