"""Guests with open sockets, many at once, who do one thing when they are told to.

Owns opening them at bounded concurrency and giving each a command. How a connection survives is
``player``'s.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from time import monotonic, monotonic_ns
from types import TracebackType
from typing import Any, Self

import msgspec

from benchmarks.lean_connection import EventCounter, LeanConnection
from benchmarks.measurements import Measurements
from benchmarks.measures.guests import Guest, Report
from benchmarks.measures.server import MeasureFailed
from benchmarks.player import ErrorData, InFlight, Player
from clients.sign_in import Account, addresses_of
from clients.token_keeper import TokenKeeper

_HANDSHAKES = 64
_REPORT_S = 5.0
_PATROL_S = 0.5
_ANSWER_TIMEOUT_NS = 10_000_000_000
_LEAVE_S = 10.0


class Refused(Exception):
    """The server will not do it, however often it is asked."""


class Seat(Player):
    """One guest, one socket."""

    def __init__(
        self,
        url: str,
        guest: Guest,
        door: asyncio.Semaphore,
        measurements: Measurements,
        counter: EventCounter,
    ) -> None:
        """``url``: of the casino. ``door``: how many may shake hands at once."""
        addresses = addresses_of(url)
        account = Account(guest.token, "bearer", 0, guest.user_id)
        super().__init__(
            addresses.sync, TokenKeeper(addresses.http, account=account), "seat-", measurements, counter
        )
        self._door = door
        self._answer: asyncio.Future[int] | None = None

    def ask(self, name: str, data: Mapping[str, Any]) -> asyncio.Future[int]:
        """Give a command. The result is when it was answered, in ns of ``time.monotonic_ns``, or
        ``Refused``; on the way it is repeated under its id as often as it takes."""
        self._answer = self._loop.create_future()
        self._give(name, data)
        return self._answer

    async def _connect(self, connection: LeanConnection) -> None:
        async with self._door:
            await super()._connect(connection)

    def _on_result(self, command_id: str, waiting: InFlight, data: msgspec.Raw) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(monotonic_ns())

    def _on_error(self, command_id: str, waiting: InFlight, error: ErrorData) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(Refused(f"{waiting.name}: {error.code} {error.message}"))


class Seats:
    """``async with Seats(url) as seats``: all are open until the end of the block."""

    def __init__(self, url: str) -> None:
        self.taken: list[Seat] = []
        self.measurements = Measurements()
        self._url = url
        self._counter = EventCounter()
        self._door = asyncio.Semaphore(_HANDSHAKES)
        self._runs: list[asyncio.Task[None]] = []
        self._patrol: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._patrol = asyncio.create_task(self._keep_watch())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._patrol is not None:
            self._patrol.cancel()
        for seat in self.taken:
            seat.leave()
        if self._runs:
            _, staying = await asyncio.wait(self._runs, timeout=_LEAVE_S)
            for run in staying:
                run.cancel()
            await asyncio.gather(*self._runs, return_exceptions=True)

    async def open(self, guests: Sequence[Guest], report: Report, deadline_s: float) -> list[Seat]:
        """Connect and authenticate these, and keep them so.

        Raises:
            MeasureFailed: not all of them were let in, in time.
        """
        seats = [Seat(self._url, guest, self._door, self.measurements, self._counter) for guest in guests]
        runs = [asyncio.create_task(seat.run()) for seat in seats]
        self.taken += seats
        self._runs += runs
        began_s = told_s = monotonic()
        while True:
            ready = sum(seat.is_ready for seat in seats)
            if ready == len(seats):
                report(f"sockets: {ready:,} more in {monotonic() - began_s:,.1f} s")
                return seats
            now_s = monotonic()
            if any(run.done() for run in runs) or now_s - began_s > deadline_s:
                raise MeasureFailed(
                    f"{ready:,} of {len(seats):,} connections were let in within {now_s - began_s:,.0f} s; "
                    f"trouble: {dict(self.measurements.errors) or 'none that the server told'}, "
                    f"{self.measurements.connect_failures:,} failed attempts"
                )
            if now_s - told_s >= _REPORT_S:
                told_s = now_s
                report(f"sockets: {ready:,} of {len(seats):,}")
            await asyncio.sleep(0.05)

    async def _keep_watch(self) -> None:
        """Answers that seem to be lost are asked for again, as clients do."""
        while True:
            await asyncio.sleep(_PATROL_S)
            before_ns = monotonic_ns() - _ANSWER_TIMEOUT_NS
            for seat in self.taken:
                if seat.unanswered:
                    seat.resend_older_than(before_ns)


async def answered(answers: Iterable[asyncio.Future[int]], deadline_s: float) -> list[int]:
    """When each of these was answered, in ns of ``time.monotonic_ns``.

    Raises:
        MeasureFailed: one was refused, or some were not answered in time.
    """
    waiting = list(answers)
    if not waiting:
        return []
    _, late = await asyncio.wait(waiting, timeout=deadline_s)
    if late:
        for answer in late:
            answer.cancel()
        raise MeasureFailed(f"{len(late):,} of {len(waiting):,} have no answer after {deadline_s:,.0f} s")
    refusals = [error for answer in waiting if (error := answer.exception()) is not None]
    if refusals:
        raise MeasureFailed(f"{len(refusals):,} of {len(waiting):,} were refused: {refusals[0]}")
    return [answer.result() for answer in waiting]
