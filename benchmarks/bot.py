"""One bot: a player in closed loop over a connection that may die at any time.

Owns the commands in flight and repeats them under their own ids after a reconnect, a retryable
error or a lost answer. What it plays is the journey's choice, where it plays the caller's.
"""

from __future__ import annotations

import asyncio
from time import monotonic_ns
from typing import Any

import msgspec

from benchmarks.command_log import CommandLog
from benchmarks.journey import PLAY_REFUSALS, UNSUPPORTED, Gold, Journey
from benchmarks.lean_connection import EventCounter, Header, LeanConnection, open_lean_connection
from benchmarks.measurements import Measurements
from clients.backoff import Backoff
from clients.protocol import FINAL_CLOSE_CODES, Command, SequenceTracker, encode
from clients.sign_in import GuestAccount

_decode_gold = msgspec.msgpack.Decoder(Gold).decode


class ErrorData(msgspec.Struct):
    code: str = "unknown"
    message: str = ""
    retryable: bool = False


class _ProfileData(msgspec.Struct):
    """The gold in a ``profile_update`` or in an ``initial_state``."""

    gold_balance: int | None = None
    changes: Gold | None = None


_decode_error = msgspec.msgpack.Decoder(ErrorData).decode
_decode_profile = msgspec.msgpack.Decoder(_ProfileData).decode


class InFlight:
    """A command that waits for its answer."""

    __slots__ = ("first_sent_ns", "frame", "last_sent_ns", "name", "sends")

    def __init__(self, name: str, frame: bytes, now_ns: int) -> None:
        self.name = name
        self.frame = frame
        self.first_sent_ns = now_ns
        self.last_sent_ns = now_ns
        self.sends = 1


class Bot:
    """A player. ``run`` ends when the player is broke, refused, or was told to leave."""

    def __init__(
        self,
        sync_url: str,
        account: GuestAccount,
        journey: Journey,
        id_prefix: str,
        measurements: Measurements,
        counter: EventCounter,
        depth: int = 1,
        think_s: float = 0.0,
        log: CommandLog | None = None,
    ) -> None:
        self.user_id = account.user_id
        self.tracker = SequenceTracker()
        self.stall_ns_max = 0
        """Longest time between two acknowledgements, or between the start and the first."""
        self.is_broke = False
        self._sync_url = sync_url
        self._token = account.access_token
        self._journey = journey
        self._id_prefix = id_prefix
        self._number = 0
        self._measurements = measurements
        self._counter = counter
        self._depth = depth
        self._think_s = think_s
        self._log = log
        self._in_flight: dict[str, InFlight] = {}
        self._thinking = 0
        self._last_acknowledged_ns = 0
        self._playing = False
        self._leaving = False
        self._refused = False
        self._connection: LeanConnection | None = None
        self._authenticated = False
        self._authentication_id = ""
        self._ended: asyncio.Future[None] | None = None
        self._was_ready = False
        self._backoff = Backoff(base_s=0.05, ceiling_s=1.0)
        self._error_backoff = Backoff(base_s=0.02, ceiling_s=1.0)
        self._last_profile: msgspec.Raw | None = None
        self._loop = asyncio.get_running_loop()

    @property
    def unanswered(self) -> int:
        return len(self._in_flight)

    @property
    def is_ready(self) -> bool:
        """Whether the server has ever let it in."""
        return self._was_ready

    def play(self) -> None:
        """Begin to give commands."""
        self._playing = True
        self._last_acknowledged_ns = monotonic_ns()
        if self._authenticated:
            self._fill()

    def stop_playing(self) -> None:
        """Give no new commands; those in flight are still awaited."""
        self._note_stall(monotonic_ns())
        self._playing = False

    async def run(self) -> None:
        """Stay connected until told to leave."""
        try:
            while not self._leaving:
                await self._one_connection()
                if self._leaving:
                    break
                await asyncio.sleep(self._backoff.next_s())
        finally:
            self._leave()

    def leave(self) -> None:
        """Close the connection; ``run`` returns. What is in flight stays unanswered."""
        self._leaving = True
        if self._connection is not None:
            self._connection.close()

    def lose_connection(self) -> None:
        """Do as if the network had gone: the bot must come back and resume."""
        if self._authenticated and self._connection is not None:
            self._measurements.resumes_asked_for += 1
            self._connection.drop()

    def resend_older_than(self, before_ns: int) -> None:
        """Send again what was last sent before this time; its answer is presumed lost."""
        if not self._authenticated or self._connection is None:
            return
        for waiting in self._in_flight.values():
            if waiting.last_sent_ns < before_ns:
                self._send_again(waiting, self._connection)

    def answered(self, connection: LeanConnection, header: Header) -> None:
        """See ``lean_connection.Owner``."""
        if connection is not self._connection:
            return
        command_id = header.id
        waiting = self._in_flight.get(command_id) if command_id is not None else None
        if waiting is None or command_id is None:
            self._other_frame(connection, header)
            return
        if header.type != "result":
            self._failed(command_id, waiting, header)
            return
        del self._in_flight[command_id]
        now = monotonic_ns()
        self._measurements.acknowledge(now, (now - waiting.first_sent_ns) // 1000)
        if now - self._last_acknowledged_ns > self.stall_ns_max:
            self.stall_ns_max = now - self._last_acknowledged_ns
        self._last_acknowledged_ns = now
        gold = _decode_gold(header.data).gold_balance
        if gold is not None:
            self._journey.gold = gold
        if self._log is not None:
            self._log.acknowledged(self.user_id, command_id, waiting.name, waiting.sends, header.data)
        self._error_backoff.reset()
        self._fill()

    def disconnected(self, connection: LeanConnection) -> None:
        """See ``lean_connection.Owner``."""
        if connection is not self._connection:
            return
        self._last_profile = connection.last_profile or self._last_profile
        self._connection = None
        self._authenticated = False
        if not self._leaving:
            self._measurements.reconnects += 1
            self._measurements.close_codes[connection.close_code] += 1
            if connection.close_code in FINAL_CLOSE_CODES:
                self._be_refused(f"closed:{connection.close_code}")
        if self._ended is not None and not self._ended.done():
            self._ended.set_result(None)

    async def _one_connection(self) -> None:
        try:
            connection = await open_lean_connection(self._sync_url, self, self.tracker, self._counter)
        except ConnectionError:
            self._measurements.connect_failures += 1
            return
        if self._leaving:
            connection.close()
            return
        self._connection = connection
        self._ended = self._loop.create_future()
        self._authentication_id = self._next_id()
        data: dict[str, Any] = {"token": self._token}
        if self.tracker.last is not None:
            data["resume_from"] = self.tracker.last
        connection.send(encode(Command("authenticate", self._authentication_id, data)))
        await self._ended

    def _other_frame(self, connection: LeanConnection, header: Header) -> None:
        if header.id is not None and header.id == self._authentication_id:
            if header.type == "result":
                self._begin(connection)
            else:
                self._authentication_failed(connection, _decode_error(header.data))
        elif header.type == "error":
            self._measurements.errors[f"connection:{_decode_error(header.data).code}"] += 1
        elif header.type == "result":
            self._measurements.answers_unmatched += 1

    def _begin(self, connection: LeanConnection) -> None:
        self._authenticated = True
        self._backoff.reset()
        self._was_ready = True
        for waiting in self._in_flight.values():
            self._send_again(waiting, connection)
        self._fill()

    def _authentication_failed(self, connection: LeanConnection, error: ErrorData) -> None:
        if error.retryable:
            self._measurements.retried[f"authenticate:{error.code}"] += 1
        else:
            self._be_refused(f"authentication:{error.code}")
        connection.drop()

    def _be_refused(self, code: str) -> None:
        if not self._refused:
            self._refused = True
            self._measurements.errors[code] += 1
        self._leaving = True

    def _failed(self, command_id: str, waiting: InFlight, header: Header) -> None:
        error = _decode_error(header.data)
        if error.retryable:
            self._measurements.retried[error.code] += 1
            # Out of the reach of resend_older_than until then.
            waiting.last_sent_ns = monotonic_ns() + 60_000_000_000
            self._loop.call_later(self._error_backoff.next_s(), self._retry, command_id)
            return
        del self._in_flight[command_id]
        if error.code in UNSUPPORTED and self._journey.disable(waiting.name):
            self._measurements.unsupported[waiting.name] += 1
        elif error.code in PLAY_REFUSALS:
            self._measurements.refused[error.code] += 1
        else:
            self._measurements.errors[error.code] += 1
        # Not at once: a server that refuses everything must not be hammered in a tight loop.
        self._loop.call_later(0.01, self._fill)

    def _retry(self, command_id: str) -> None:
        waiting = self._in_flight.get(command_id)
        if waiting is None or waiting.last_sent_ns <= monotonic_ns():
            return  # answered, or sent again by a reconnect
        if self._authenticated and self._connection is not None:
            self._send_again(waiting, self._connection)

    def _send_again(self, waiting: InFlight, connection: LeanConnection) -> None:
        waiting.last_sent_ns = monotonic_ns()
        waiting.sends += 1
        self._measurements.resent += 1
        connection.send(waiting.frame)

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
        command_id = self._next_id()
        frame = encode(Command(step.name, command_id, step.data))
        self._in_flight[command_id] = InFlight(step.name, frame, monotonic_ns())
        if self._authenticated and self._connection is not None:
            self._connection.send(frame)
        return True

    def _next_id(self) -> str:
        self._number += 1
        return f"{self._id_prefix}{self._number}"

    def _note_stall(self, now_ns: int) -> None:
        if self._playing and self._in_flight:
            self.stall_ns_max = max(self.stall_ns_max, now_ns - self._last_acknowledged_ns)

    def _profile(self) -> msgspec.Raw | None:
        connection = self._connection
        return (connection.last_profile if connection is not None else None) or self._last_profile

    def _leave(self) -> None:
        self._note_stall(monotonic_ns())
        self._measurements.unanswered += len(self._in_flight)
        if self._log is not None:
            profile = self._profile()
            gold = _gold_of(profile) if profile is not None else None
            self._log.left(self.user_id, list(self._in_flight), gold, self.tracker.last)


def _gold_of(profile: msgspec.Raw) -> int | None:
    data = _decode_profile(profile)
    return data.changes.gold_balance if data.changes is not None else data.gold_balance
