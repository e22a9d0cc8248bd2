"""What all sockets of one gateway process share: terms, one sweep timer, one flush per loop turn.

Owns the set of sockets. Knows the event loop, but no protocol: that is ``gateway.protocol``.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Protocol

from gateway.catalogue import player_commands
from gateway.counters import Counters
from gateway.dependencies import GatewayDependencies
from gateway.protocol import Terms
from gateway.revocations import Verdict
from gateway.schema import CLOSE_RESTART

_log = logging.getLogger(__name__)

_DRAIN_STEP_S = 0.02


class Socket(Protocol):
    """What the hub does to a socket."""

    @property
    def in_flight(self) -> int: ...
    def flush(self) -> None: ...
    def sweep(self, now: float) -> None: ...
    def signed_out(self, verdicts: Mapping[str, Verdict]) -> None: ...
    def restart(self, code: int, reason: str) -> None: ...
    def abort(self) -> None: ...


class Hub:
    """One per gateway process and event loop."""

    def __init__(self, dependencies: GatewayDependencies) -> None:
        self.limits = dependencies.limits
        self.allowed_origins = tuple(dependencies.allowed_origins)
        self.router = dependencies.router
        self.fanout = dependencies.fanout
        self.topics = dependencies.topics
        self.counters: Counters = dependencies.fanout.counters
        self.clock = dependencies.clock
        self.terms = Terms(
            limits=dependencies.limits,
            commands=player_commands(dependencies.catalogue),
            verify_token=dependencies.tokens.verify,
            clock=dependencies.clock,
            counters=self.counters,
            topics=dependencies.topics.known,
        )
        self.sockets: set[Socket] = set()
        self.is_draining = False
        self.draining = asyncio.Event()
        """Set with ``is_draining``, for those who wait."""
        self.is_tracing = False
        """Whether each command leaves a line in the log. Asking the log each time would cost more."""
        self._unflushed: list[Socket] = []
        self._sweep_timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin to watch deadlines. On the loop that serves the sockets."""
        self.loop = asyncio.get_running_loop()
        self.is_tracing = _log.isEnabledFor(logging.DEBUG)
        self._sweep_timer = self.loop.call_later(self.limits.sweep_interval_s, self._sweep)

    def stop(self) -> None:
        if self._sweep_timer is not None:
            self._sweep_timer.cancel()
            self._sweep_timer = None

    def flush_soon(self, socket: Socket) -> None:
        """Write the socket's pending frames in this turn of the loop, with everybody else's."""
        if not self._unflushed:
            self.loop.call_soon(self._flush)
        self._unflushed.append(socket)

    def _flush(self) -> None:
        sockets, self._unflushed = self._unflushed, []
        for socket in sockets:
            try:
                socket.flush()
            except Exception:
                # One socket's trouble must not keep the others from being written.
                _log.exception("a socket could not be written")
                socket.abort()

    def _sweep(self) -> None:
        self._sweep_timer = self.loop.call_later(self.limits.sweep_interval_s, self._sweep)
        now = self.clock.monotonic()
        for socket in tuple(self.sockets):
            try:
                socket.sweep(now)
            except Exception:
                _log.exception("a socket could not be swept")
                socket.abort()

    def sign_out(self, verdicts: Mapping[str, Verdict]) -> None:
        """Close the sockets whose tokens were voided; by user id."""
        for socket in tuple(self.sockets):
            try:
                socket.signed_out(verdicts)
            except Exception:
                _log.exception("a socket could not be closed")
                socket.abort()

    async def drain(self) -> None:
        """Close every socket so that its client resumes elsewhere; idle ones first.

        Commands in flight get ``drain_grace_s`` to be answered. A client whose command was
        cut off asks again with the same id, and learns the outcome.
        """
        self.is_draining = True
        self.draining.set()
        give_up_at = self.loop.time() + self.limits.drain_grace_s
        while any(socket.in_flight for socket in self.sockets) and self.loop.time() < give_up_at:
            self._restart([socket for socket in self.sockets if not socket.in_flight])
            await asyncio.sleep(_DRAIN_STEP_S)
        self._restart(list(self.sockets))
        give_up_at = self.loop.time() + self.limits.close_deadline_s
        while self.sockets and self.loop.time() < give_up_at:
            await asyncio.sleep(_DRAIN_STEP_S)
        for socket in tuple(self.sockets):
            socket.abort()

    def _restart(self, sockets: list[Socket]) -> None:
        for socket in sockets:
            socket.restart(CLOSE_RESTART, "service restart")
