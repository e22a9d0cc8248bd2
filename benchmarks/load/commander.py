"""A player whose commands come from a schedule.

Owns that a command's latency counts from when it was due. What is asked when is the scenario's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from benchmarks.lean_connection import LeanConnection
from benchmarks.load.generator import Load, LoadCrowd
from benchmarks.player import ErrorData, InFlight, Player
from clients.token_keeper import TokenKeeper

_BROKE = "insufficient_funds"


class Commander(Player):
    """``on_over(player)``: one of its commands is over, and it may give the next."""

    def __init__(
        self,
        load: Load,
        crowd: LoadCrowd[Any],
        tokens: TokenKeeper,
        id_prefix: str,
        kinds: Mapping[str, str],
        on_over: Callable[[Commander], None] | None = None,
    ) -> None:
        """``kinds``: what a command's latency counts as, by its name."""
        super().__init__(crowd.sync_url, tokens, id_prefix, crowd.measurements, crowd.counter)
        self._load = load
        self._kinds = kinds
        self._on_over = on_over

    def command(self, name: str, data: Mapping[str, Any], intended_ns: int) -> None:
        """Give it now, or with the next connection. Everything since ``intended_ns`` is its latency."""
        command_id = self._give(name, data)
        self._in_flight[command_id].first_sent_ns = intended_ns

    def _on_begin(self, connection: LeanConnection) -> None:
        if self._on_over is not None and self._playing and not self._in_flight:
            self._on_over(self)

    def _on_result(self, command_id: str, waiting: InFlight, data: msgspec.Raw) -> None:
        self._load.answered(self._kinds[waiting.name], waiting.first_sent_ns)
        if self._on_over is not None:
            self._on_over(self)

    def _on_error(self, command_id: str, waiting: InFlight, error: ErrorData) -> None:
        self._load.failed(error.code, waiting.first_sent_ns)
        if error.code == _BROKE:
            # Its seat goes to a new guest, and nobody will hear of what it still waits for.
            while self._in_flight:
                _, other = self._in_flight.popitem()
                self._load.failed(error.code, other.first_sent_ns)
            self.is_broke = True
            self.leave()
        elif self._on_over is not None:
            # Not at once: a server that refuses everything must not be hammered in a tight loop.
            self._loop.call_later(0.01, self._on_over, self)
