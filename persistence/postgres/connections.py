"""Connections to Postgres: bounded in number, bounded in time, and dropped when in doubt.

A connection whose last call did not end cleanly is never used again. Knows no tables.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

import asyncpg

from runtime.errors import JournalError

T = TypeVar("T")
Operation = Callable[["asyncpg.Connection[asyncpg.Record]"], Awaitable[T]]

CONNECT_TIMEOUT_S = 5.0
RETRY_FIRST_S = 0.02
RETRY_MAX_S = 1.0


class DatabaseUnavailable(JournalError):
    """The database could not be reached, or did not answer, within the deadline."""


def is_answer(error: BaseException) -> bool:
    """Whether the server considered the statement and said no, so that the connection is sound.

    Not so for errors about the connection (class 08), the server's resources (53), its state or
    operators (57), its inside (58, XX), a read-only server (25), nor for conflicts (40).
    """
    if isinstance(error, asyncpg.PostgresError):
        return (error.sqlstate or "")[:2] not in ("", "08", "25", "40", "53", "57", "58", "XX")
    # Arguments that cannot be encoded never leave the process.
    return isinstance(error, asyncpg.InterfaceError) and isinstance(error, ValueError)


class Connections:
    """At most ``connections_max`` connections, opened on demand, most recently used first."""

    def __init__(
        self,
        dsn: str,
        *,
        connections_max: int,
        timeout_s: float,
        attempt_timeout_s: float | None = None,
        name: str = "casino",
        settings: Mapping[str, str] | None = None,
    ) -> None:
        """``timeout_s`` bounds an operation with all its attempts, ``attempt_timeout_s`` (by default
        as much) each attempt with the wait for a connection. ``name`` is for ``pg_stat_activity``;
        ``settings`` are the server's, for these connections."""
        self._dsn = dsn
        self._timeout_s = timeout_s
        self._attempt_timeout_s = min(attempt_timeout_s or timeout_s, timeout_s)
        self._slots = asyncio.Semaphore(connections_max)
        self._idle: list[asyncpg.Connection[asyncpg.Record]] = []
        self._running: set[asyncio.Task[Any]] = set()
        self._server_settings = {
            "application_name": name,
            "default_transaction_isolation": "read committed",
            "synchronous_commit": "on",
            "jit": "off",
            # The server gives up when the client does.
            "statement_timeout": str(int(self._attempt_timeout_s * 1000)),
            **(settings or {}),
        }

    async def once(self, operation: Operation[T]) -> T:
        """Run the operation on a connection, in a task of its own: when the caller is cancelled, it
        runs to its end all the same, and the connection stays sound.

        Raises whatever the operation raised; ``DatabaseUnavailable`` when there was no connection,
        or no answer in time. In the latter case the operation may have taken effect.
        """
        loop = asyncio.get_running_loop()
        task = loop.create_task(self._attempt(operation, loop.time() + self._attempt_timeout_s))
        self._running.add(task)
        task.add_done_callback(self._finished)
        return await asyncio.shield(task)

    async def retried(self, operation: Operation[T]) -> T:
        """As ``once``, but repeated until it is answered or the deadline passes. For operations that
        may be repeated."""
        deadline = asyncio.get_running_loop().time() + self._timeout_s
        delay_s = RETRY_FIRST_S
        while True:
            try:
                return await self.once(operation)
            except Exception as error:
                if is_answer(error):
                    raise
                pause_s = delay_s * random.uniform(0.5, 1.5)
                if asyncio.get_running_loop().time() + pause_s >= deadline:
                    raise DatabaseUnavailable(f"no answer within {self._timeout_s:g} s: {error!r}") from error
            await asyncio.sleep(pause_s)
            delay_s = min(2 * delay_s, RETRY_MAX_S)

    async def close(self) -> None:
        """Wait for what is running, then hang up."""
        if self._running:
            await asyncio.wait(self._running, timeout=self._attempt_timeout_s + 1)
        while self._idle:
            self._idle.pop().terminate()

    def _finished(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        if not task.cancelled():
            task.exception()  # seen, even when the caller was cancelled and nobody else looks

    async def _attempt(self, operation: Operation[T], deadline: float) -> T:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout_at(deadline):
                await self._slots.acquire()
        except TimeoutError as error:
            raise DatabaseUnavailable("every connection is busy") from error
        connection = None
        sound = False
        try:
            connection = await self._connection(deadline)
            # Hanging up is the only way out of a call that never returns: asking the server to
            # cancel it would have to get through as well.
            watchdog = loop.call_at(deadline, connection.terminate)
            try:
                result = await operation(connection)
                sound = True
                return result
            except Exception as error:
                sound = is_answer(error)
                if loop.time() >= deadline:
                    raise DatabaseUnavailable(f"no answer within {self._attempt_timeout_s:g} s") from error
                raise
            finally:
                watchdog.cancel()
        finally:
            self._slots.release()
            if connection is not None:
                if sound and not connection.is_closed():
                    self._idle.append(connection)
                else:
                    connection.terminate()

    async def _connection(self, deadline: float) -> asyncpg.Connection[asyncpg.Record]:
        while self._idle:
            connection = self._idle.pop()
            if not connection.is_closed():
                return connection
        timeout_s = min(CONNECT_TIMEOUT_S, deadline - asyncio.get_running_loop().time())
        try:
            return await asyncpg.connect(
                self._dsn, timeout=max(timeout_s, 0.001), server_settings=self._server_settings
            )
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            raise DatabaseUnavailable(f"cannot connect: {error!r}") from error
