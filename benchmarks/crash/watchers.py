"""Connections that only listen to a table: how many a gateway serves, and how late.

Owns the crowd of them in one process. It decodes a tick once for all that get the same bytes, and
takes the time of every one.
"""

from __future__ import annotations

import asyncio
import gc
from time import monotonic

import msgspec

from benchmarks.crash.events import Feed
from benchmarks.crash.listener import Listener
from benchmarks.crowd import Crowd
from benchmarks.lean_connection import EventCounter, LeanConnection
from benchmarks.measurements import Measurements
from benchmarks.options import WatchOptions
from benchmarks.player import ErrorData, InFlight, Player
from clients.sign_in import Account
from clients.token_keeper import TokenKeeper

_MUTE_DEADLINE_S = 10.0


class WatchStatus(msgspec.Struct, kw_only=True):
    """What one process heard since the last time it was asked."""

    deliveries: int
    tick_deliveries: int
    ticks: int
    running_ns: int
    lag: str
    """A histogram, for ``measurements.quantiles_of``."""
    tick_bytes: int
    """Size of a tick's payload."""
    listening: int
    errors: int
    reconnects: int


class WatchResult(msgspec.Struct, kw_only=True):
    """What one process heard from the first ``play`` to ``stop``."""

    began_ns: int
    stopped_ns: int
    deliveries: int
    ticks: int
    tick_deliveries: int
    running_ns: int
    tick_gap_ns_max: int
    lag: str
    listening: int
    errors: dict[str, int]
    retried: dict[str, int]
    close_codes: dict[str, int]
    reconnects: int
    connect_failures: int
    malformed_frames: int


class Watcher(Listener):
    """Listens, and gives no commands."""

    hears_events = False

    def __init__(
        self,
        sync_url: str,
        tokens: TokenKeeper,
        table: str,
        feed: Feed,
        id_prefix: str,
        measurements: Measurements,
        counter: EventCounter,
        door: asyncio.Semaphore,
    ) -> None:
        super().__init__(sync_url, tokens, table, feed, id_prefix, measurements, counter)
        self._door = door

    def play(self) -> None:
        super().play()
        self.listen()

    async def _connect(self, connection: LeanConnection) -> None:
        async with self._door:
            await super()._connect(connection)

    def _on_result(self, command_id: str, waiting: InFlight, data: msgspec.Raw) -> None:
        """It has no commands."""

    def _on_error(self, command_id: str, waiting: InFlight, error: ErrorData) -> None:
        """It has no commands."""


class BareWatcher(Watcher):
    """With a server that sends to whoever connects."""

    def listen(self) -> None:
        """It cannot help it."""

    def mute(self) -> None:
        """It cannot."""

    def _introduce(self, connection: LeanConnection) -> None:
        self._begin(connection)


class WatcherCrowd(Crowd):
    """``play`` and ``mute`` may alternate."""

    patrol_s = 1.0

    def __init__(self, options: WatchOptions) -> None:
        super().__init__(options)
        self.feed = Feed()
        self._watch_options = options
        self._watchers: list[Watcher] = []
        self._door = asyncio.Semaphore(options.connect_parallel)
        self._accounts: dict[int, asyncio.Future[TokenKeeper]] = {}
        self._seated = 0
        self._counted = (0, 0, 0, 0)
        self._at_play = (0, 0, 0, 0)
        self._at_stop = (0, 0, 0, 0)
        self._listening_at_stop = 0

    def play(self) -> None:
        if self._patrol is None:
            gc.freeze()
            self._at_play = self._counted = self._counts()
            super().play()
        else:
            for watcher in self._watchers:
                watcher.play()

    async def mute(self) -> None:
        """Leave the table; returns when the server has agreed, or after a while."""
        for watcher in self._watchers:
            watcher.mute()
        deadline = monotonic() + _MUTE_DEADLINE_S
        while monotonic() < deadline and not all(watcher.is_settled for watcher in self._watchers):
            await asyncio.sleep(0.02)

    async def stop(self) -> None:
        self._at_stop = self._counts()
        self._listening_at_stop = self._listening()
        await super().stop()

    def status(self) -> WatchStatus:
        self.roll()
        counts, before = self._counts(), self._counted
        self._counted = counts
        deliveries, ticks, tick_deliveries, running_ns = (
            now - then for now, then in zip(counts, before, strict=True)
        )
        return WatchStatus(
            deliveries=deliveries,
            ticks=ticks,
            tick_deliveries=tick_deliveries,
            running_ns=running_ns,
            lag=self.feed.lag.take(),
            tick_bytes=self.feed.tick_bytes,
            listening=self._listening(),
            errors=sum(self.measurements.errors.values()),
            reconnects=self.measurements.reconnects,
        )

    def result(self) -> WatchResult:
        found = self.measurements
        deliveries, ticks, tick_deliveries, running_ns = (
            stop - play for stop, play in zip(self._at_stop, self._at_play, strict=True)
        )
        return WatchResult(
            began_ns=self._began_ns,
            stopped_ns=self._stopped_ns,
            deliveries=deliveries,
            ticks=ticks,
            tick_deliveries=tick_deliveries,
            running_ns=running_ns,
            tick_gap_ns_max=self.feed.tick_gap_ns_max,
            lag=self.feed.lag.encoded(),
            listening=self._listening_at_stop,
            errors=dict(found.errors),
            retried=dict(found.retried),
            close_codes={str(code): count for code, count in found.close_codes.items()},
            reconnects=found.reconnects,
            connect_failures=found.connect_failures,
            malformed_frames=self.counter.malformed_frames,
        )

    def _new_bot(self, number: int, tokens: TokenKeeper, id_prefix: str) -> Player:
        kind = BareWatcher if self._watch_options.bare else Watcher
        watcher = kind(
            self._addresses.sync,
            tokens,
            self._watch_options.table,
            self.feed,
            id_prefix,
            self.measurements,
            self.counter,
            self._door,
        )
        self._watchers.append(watcher)
        return watcher

    async def _sign_up(self) -> TokenKeeper:
        """One guest for several connections, who share the tokens; none for a server that knows none."""
        if self._watch_options.bare:
            return TokenKeeper(self._addresses.http, account=Account("", "", 0, "nobody"))
        seat, self._seated = self._seated, self._seated + 1
        group = seat // self._watch_options.connections_per_guest
        account = self._accounts.get(group)
        if account is None:
            account = self._accounts[group] = asyncio.ensure_future(super()._sign_up())
        return await asyncio.shield(account)

    def _listening(self) -> int:
        return sum(watcher.is_settled for watcher in self._watchers)

    def _counts(self) -> tuple[int, int, int, int]:
        feed = self.feed
        return feed.deliveries, feed.ticks, feed.tick_deliveries, feed.running_ns
