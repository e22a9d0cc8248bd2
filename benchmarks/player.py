"""A player over a connection that may die at any time: what every bot is, whatever it plays.

Owns the commands in flight and repeats them under their own ids after a reconnect, a retryable
error or a lost answer. When to give which command, and what an answer means, is the subclass's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from time import monotonic_ns
from typing import Any

import msgspec

from benchmarks.command_log import CommandLog
from benchmarks.lean_connection import EventCounter, Header, LeanConnection, connect
from benchmarks.measurements import Measurements
from clients.backoff import Backoff
from clients.errors import ClientError, ConnectionLost
from clients.protocol import CLOSE_NOT_AUTHENTICATED, FINAL_CLOSE_CODES, Command, SequenceTracker, encode
from clients.token_keeper import TokenKeeper


class ErrorData(msgspec.Struct):
    code: str = "unknown"
    message: str = ""
    retryable: bool = False


class _Gold(msgspec.Struct):
    gold_balance: int | None = None


class _ProfileData(msgspec.Struct):
    """The gold in a ``profile_update`` or in an ``initial_state``."""

    gold_balance: int | None = None
    changes: _Gold | None = None


decode_error = msgspec.msgpack.Decoder(ErrorData).decode
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


class Player:
    """``run`` ends when the player is refused, or was told to leave."""

    def __init__(
        self,
        sync_url: str,
        tokens: TokenKeeper,
        id_prefix: str,
        measurements: Measurements,
        counter: EventCounter,
        log: CommandLog | None = None,
    ) -> None:
        """``tokens``: of a sign-in that has happened. Players of one account share it."""
        self.user_id = tokens.user_id or ""
        self.tracker = SequenceTracker()
        self.stall_ns_max = 0
        """Longest time between two acknowledgements, or between the start and the first."""
        self.is_broke = False
        self._sync_url = sync_url
        self._tokens = tokens
        self._token = ""
        self._renewal_id = ""
        self._renewing: asyncio.Task[None] | None = None
        self._id_prefix = id_prefix
        self._number = 0
        self._measurements = measurements
        self._counter = counter
        self._log = log
        self._in_flight: dict[str, InFlight] = {}
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
        self._renewal_backoff = Backoff(base_s=0.5, ceiling_s=5.0)
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

    @property
    def gold(self) -> int | None:
        """The balance that the last event told."""
        profile = self._profile()
        return gold_of(profile) if profile is not None else None

    def play(self) -> None:
        """Begin to give commands."""
        self._playing = True
        self._last_acknowledged_ns = monotonic_ns()

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

    def renew_if_due(self, gate: asyncio.Semaphore) -> None:
        """Show the next token in time, as a client does: the connection ends with its last one. As many
        as the ``gate`` lets through ask for theirs at once."""
        if (
            self._renewing is None
            and self._authenticated
            and (self._tokens.is_due or self._tokens.token != self._token)
        ):
            self._renewing = asyncio.create_task(self._renew(gate))

    async def _renew(self, gate: asyncio.Semaphore) -> None:
        try:
            async with gate:
                token = await self._tokens.current()
            if self._authenticated and self._connection is not None and token != self._token:
                self._token = token
                self._renewal_id = self._next_id()
                self._connection.send(encode(Command("authenticate", self._renewal_id, {"token": token})))
            self._renewal_backoff.reset()
        except ConnectionLost:
            self._measurements.connect_failures += 1
            await asyncio.sleep(self._renewal_backoff.next_s())
        except ClientError as error:
            self._be_refused(f"renewal:{getattr(error, 'code', type(error).__name__)}")
        finally:
            self._renewing = None

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
        if self._log is not None:
            self._log.acknowledged(self.user_id, command_id, waiting.name, waiting.sends, header.data)
        self._error_backoff.reset()
        self._on_result(command_id, waiting, header.data)

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
            # Bots that the patrol has missed, or that were signed out, come back with another token.
            is_renewable = connection.close_code == CLOSE_NOT_AUTHENTICATED and self._tokens.refused()
            if connection.close_code in FINAL_CLOSE_CODES and not is_renewable:
                self._be_refused(f"closed:{connection.close_code}")
        if self._ended is not None and not self._ended.done():
            self._ended.set_result(None)

    # What a subclass decides

    def _new_connection(self) -> LeanConnection:
        return LeanConnection(self, self.tracker, self._counter)

    def _on_begin(self, connection: LeanConnection) -> None:
        """Authenticated on this connection, and what was in flight has been sent again."""

    def _on_result(self, command_id: str, waiting: InFlight, data: msgspec.Raw) -> None:
        """A command was carried out."""
        raise NotImplementedError

    def _on_error(self, command_id: str, waiting: InFlight, error: ErrorData) -> None:
        """A command was refused for good. Whether that is an error of the run is decided here."""
        raise NotImplementedError

    def _on_other(self, connection: LeanConnection, header: Header) -> None:
        """A frame that is no answer to a command in flight."""
        if header.type == "error":
            self._measurements.errors[f"connection:{decode_error(header.data).code}"] += 1
        elif header.type == "result":
            self._measurements.answers_unmatched += 1

    # What a subclass uses

    def _give(self, name: str, data: Mapping[str, Any]) -> str:
        """Send a command, or keep it until there is a connection. Returns its id."""
        command_id = self._next_id()
        frame = encode(Command(name, command_id, data))
        self._in_flight[command_id] = InFlight(name, frame, monotonic_ns())
        if self._authenticated and self._connection is not None:
            self._connection.send(frame)
        return command_id

    def _next_id(self) -> str:
        self._number += 1
        return f"{self._id_prefix}{self._number}"

    def _be_refused(self, code: str) -> None:
        if not self._refused:
            self._refused = True
            self._measurements.errors[code] += 1
        self._leaving = True

    async def _one_connection(self) -> None:
        connection = self._new_connection()
        try:
            self._token = await self._tokens.current()
            await self._connect(connection)
        except ConnectionError:
            self._measurements.connect_failures += 1
            return
        except ClientError as error:
            self._be_refused(f"renewal:{getattr(error, 'code', type(error).__name__)}")
            return
        if self._leaving:
            connection.close()
            return
        self._connection = connection
        self._ended = self._loop.create_future()
        self._introduce(connection)
        await self._ended

    async def _connect(self, connection: LeanConnection) -> None:
        await connect(self._sync_url, connection)

    def _introduce(self, connection: LeanConnection) -> None:
        self._authentication_id = self._next_id()
        data: dict[str, Any] = {"token": self._token}
        if self.tracker.last is not None:
            data["resume_from"] = self.tracker.last
        connection.send(encode(Command("authenticate", self._authentication_id, data)))

    def _other_frame(self, connection: LeanConnection, header: Header) -> None:
        if header.id is not None and header.id == self._authentication_id:
            if header.type == "result":
                self._begin(connection)
            else:
                self._authentication_failed(connection, decode_error(header.data))
        elif header.id is not None and header.id == self._renewal_id:
            self._renewed(connection, header)
        else:
            self._on_other(connection, header)

    def _renewed(self, connection: LeanConnection, header: Header) -> None:
        if header.type == "result":
            self._tokens.accepted()
        else:
            # The next connection begins with that token, and tells what is wrong with it.
            self._measurements.retried[f"renewal:{decode_error(header.data).code}"] += 1
            connection.drop()

    def _begin(self, connection: LeanConnection) -> None:
        self._authenticated = True
        self._tokens.accepted()
        self._backoff.reset()
        self._was_ready = True
        for waiting in self._in_flight.values():
            self._send_again(waiting, connection)
        self._on_begin(connection)

    def _authentication_failed(self, connection: LeanConnection, error: ErrorData) -> None:
        if error.retryable or self._tokens.refused():
            self._measurements.retried[f"authenticate:{error.code}"] += 1
        else:
            self._be_refused(f"authentication:{error.code}")
        connection.drop()

    def _failed(self, command_id: str, waiting: InFlight, header: Header) -> None:
        error = decode_error(header.data)
        if error.retryable:
            self._measurements.retried[error.code] += 1
            # Out of the reach of resend_older_than until then.
            waiting.last_sent_ns = monotonic_ns() + 60_000_000_000
            self._loop.call_later(self._error_backoff.next_s(), self._retry, command_id)
            return
        del self._in_flight[command_id]
        self._on_error(command_id, waiting, error)

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

    def _note_stall(self, now_ns: int) -> None:
        if self._playing and self._in_flight:
            self.stall_ns_max = max(self.stall_ns_max, now_ns - self._last_acknowledged_ns)

    def _profile(self) -> msgspec.Raw | None:
        connection = self._connection
        return (connection.last_profile if connection is not None else None) or self._last_profile

    def _leave(self) -> None:
        if self._renewing is not None:
            self._renewing.cancel()
        self._note_stall(monotonic_ns())
        self._measurements.unanswered += len(self._in_flight)
        if self._log is not None:
            self._log.left(self.user_id, list(self._in_flight), self.gold, self.tracker.last)


def gold_of(profile: msgspec.Raw) -> int | None:
    """What a ``profile_update`` (if gold changed) or an ``initial_state`` says of gold."""
    data = _decode_profile(profile)
    return data.changes.gold_balance if data.changes is not None else data.gold_balance
