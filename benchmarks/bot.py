"""A player of slots in closed loop: the next command follows the answer to the last.

Owns how many commands are in flight and when the next one is given. What it plays is the
journey's choice; surviving lost connections and answers is ``player``'s.
"""

from __future__ import annotations

import msgspec

from benchmarks.command_log import CommandLog
from benchmarks.journey import PLAY_REFUSALS, UNSUPPORTED, Gold, Journey
from benchmarks.lean_connection import EventCounter, LeanConnection
from benchmarks.measurements import Measurements
from benchmarks.player import ErrorData, InFlight, Player
from clients.token_keeper import TokenKeeper

_decode_gold = msgspec.msgpack.Decoder(Gold).decode


class Bot(Player):
    """``run`` ends when the player is broke, refused, or was told to leave."""

    def __init__(
        self,
        sync_url: str,
        tokens: TokenKeeper,
        journey: Journey,
        id_prefix: str,
        measurements: Measurements,
        counter: EventCounter,
        depth: int = 1,
        think_s: float = 0.0,
        log: CommandLog | None = None,
    ) -> None:
        super().__init__(sync_url, tokens, id_prefix, measurements, counter, log)
        self._journey = journey
        self._depth = depth
        self._think_s = think_s
        self._thinking = 0

    def play(self) -> None:
        super().play()
        if self._authenticated:
            self._fill()

    def _on_begin(self, connection: LeanConnection) -> None:
        self._fill()

    def _on_result(self, command_id: str, waiting: InFlight, data: msgspec.Raw) -> None:
        gold = _decode_gold(data).gold_balance
        if gold is not None:
            self._journey.gold = gold
        self._fill()

    def _on_error(self, command_id: str, waiting: InFlight, error: ErrorData) -> None:
        if error.code in UNSUPPORTED and self._journey.disable(waiting.name):
            self._measurements.unsupported[waiting.name] += 1
        elif error.code in PLAY_REFUSALS:
            self._measurements.refused[error.code] += 1
        else:
            self._measurements.errors[error.code] += 1
        # Not at once: a server that refuses everything must not be hammered in a tight loop.
        self._loop.call_later(0.01, self._fill)

    def _fill(self) -> None:
        """Keep ``depth`` commands in flight."""
        while self._playing and len(self._in_flight) + self._thinking < self._depth:
            if self._think_s:
                self._thinking += 1
                self._loop.call_later(self._think_s, self._after_thinking)
            elif not self._give_command():
                return

    def _after_thinking(self) -> None:
        self._thinking -= 1
        if self._playing:
            self._give_command()

    def _give_command(self) -> bool:
        step = self._journey.next_step(len(self._in_flight))
        if step is None:
            if not self._in_flight and not self._leaving:
                self.is_broke = True
                self._measurements.players_broke += 1
                self.leave()
            return False
        self._give(step.name, step.data)
        return True
