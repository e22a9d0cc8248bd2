"""A player who listens to a table: the subscription, and the frames that come of it.

Owns subscribing, again after each reconnect, and the cheap way through a table's events. What they
mean is the subclass's.
"""

from __future__ import annotations

from time import monotonic_ns

import msgspec
from picows import WSTransport

from benchmarks.command_log import CommandLog
from benchmarks.crash.events import Feed, TableEvent
from benchmarks.lean_connection import EventCounter, Header, LeanConnection
from benchmarks.measurements import Measurements
from benchmarks.player import ErrorData, Player, decode_error
from clients.protocol import Command, encode
from clients.token_keeper import TokenKeeper

_SUBSCRIBE_AGAIN_S = 0.2


class _StampedHeader(Header, gc=False):
    timestamp: int = 0


_decode = msgspec.msgpack.Decoder(_StampedHeader).decode


class TableConnection(LeanConnection):
    """Most frames at a table are the same for everybody: those cost a comparison with the last one."""

    def __init__(self, listener: Listener) -> None:
        super().__init__(listener, listener.tracker, listener.counter)
        self._listener = listener
        self._feed = listener.feed
        self._hears_events = listener.hears_events

    def _take(self, transport: WSTransport, payload: bytes) -> None:
        feed = self._feed
        if payload == feed.payload:
            feed.again()
            if self._hears_events and feed.event is not None:
                self._listener.told(feed.event)
            return
        try:
            header = _decode(payload)
            if header.seq is None and feed.knows(header.type):
                event = feed.take(payload, header.type, header.timestamp, header.data)
                if self._hears_events:
                    self._listener.told(event)
            else:
                self._read(transport, header)
        except msgspec.DecodeError:
            self._malformed(transport)

    def _happened(self, header: Header) -> None:
        super()._happened(header)
        self._listener.happened(header)

    def _restarted(self) -> None:
        self._listener.restarted()


class Listener(Player):
    """Subscribed to ``crash/<table>`` from ``listen`` to ``mute``, whatever happens to its connection."""

    hears_events = True
    """Whether ``told`` is called; the feed counts in any case."""

    def __init__(
        self,
        sync_url: str,
        tokens: TokenKeeper,
        table: str,
        feed: Feed,
        id_prefix: str,
        measurements: Measurements,
        counter: EventCounter,
        log: CommandLog | None = None,
    ) -> None:
        super().__init__(sync_url, tokens, id_prefix, measurements, counter, log)
        self.counter = counter
        self.feed = feed
        self._topic = f"crash/{table}"
        self._listening = False
        self._asked: str | None = None
        """Id of the subscribe or unsubscribe that waits for its answer."""
        self._asked_ns = 0

    @property
    def is_settled(self) -> bool:
        """Whether its last subscribe or unsubscribe was answered."""
        return self._authenticated and self._asked is None

    def listen(self) -> None:
        self._listening = True
        self._ask("subscribe")

    def mute(self) -> None:
        self._listening = False
        self._ask("unsubscribe")

    def told(self, event: TableEvent) -> None:
        """An event of the table."""

    def happened(self, header: Header) -> None:
        """An event of its own numbered stream."""

    def restarted(self) -> None:
        """A snapshot of its own stream replaced the events before it."""

    def resend_older_than(self, before_ns: int) -> None:
        super().resend_older_than(before_ns)
        if self._asked is not None and self._asked_ns < before_ns:
            self._ask("subscribe" if self._listening else "unsubscribe")

    def _new_connection(self) -> LeanConnection:
        return TableConnection(self)

    def _on_begin(self, connection: LeanConnection) -> None:
        self._asked = None
        if self._listening:
            self._ask("subscribe")

    def _on_other(self, connection: LeanConnection, header: Header) -> None:
        if header.id is None or header.id != self._asked:
            super()._on_other(connection, header)
            return
        self._asked = None
        if header.type == "error":
            self._not_subscribed(decode_error(header.data))

    def _not_subscribed(self, error: ErrorData) -> None:
        if error.retryable:
            self._measurements.retried[f"subscribe:{error.code}"] += 1
            self._loop.call_later(_SUBSCRIBE_AGAIN_S, self._on_begin_again)
        else:
            self._measurements.errors[f"subscribe:{error.code}"] += 1

    def _on_begin_again(self) -> None:
        if self._listening and self._asked is None:
            self._ask("subscribe")

    def _ask(self, what: str) -> None:
        """On the connection there is; the next one begins with nothing subscribed."""
        if not self._authenticated or self._connection is None:
            return
        self._asked = self._next_id()
        self._asked_ns = monotonic_ns()
        self._connection.send(encode(Command(what, self._asked, {"topic": self._topic})))
