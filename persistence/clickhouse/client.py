"""A connection to ClickHouse, or to chDB in this process: one thread, behind a bounded queue.

Neither has a client that an event loop could wait for, so every call runs in the thread that owns the
client, and has a deadline. A call that passes it is given up together with its thread; whatever it was
doing may still happen. Knows no tables.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import clickhouse_connect
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError

from runtime.errors import RuntimeFault

T = TypeVar("T")
_log = logging.getLogger(__name__)

CONNECT_TIMEOUT_S = 5.0
DATABASE = "casino"

# The engine lives beside the house's own processes: one thread for a query, one for merges, which give way to
# whoever plays, and memory for the questions of few.
_ENGINE = {
    "max_server_memory_usage": 4 * 2**30,
    "mark_cache_size": 64 * 2**20,
    "primary_index_cache_size": 64 * 2**20,
    "background_pool_size": 1,
    "background_merges_mutations_concurrency_ratio": 1,
    "os_threads_nice_value_merge_mutate": 10,
}
_ENGINE_SESSION = {"max_threads": 1}
# Insert, then answer; and a day begins when it does in UTC, wherever the server stands.
_SESSION = {
    "session_timezone": "UTC",
    "async_insert": 0,
    # What waited for months is as many partitions.
    "max_partitions_per_insert_block": 0,
}

# Codes with which ClickHouse says that it read the data and cannot take it. Everything else may pass:
# memory, disk, too many parts, a table that somebody is about to create.
_DATA_REFUSED = frozenset({6, 26, 27, 32, 33, 38, 41, 53, 69, 70, 72, 117, 128, 131, 321, 407})


class StoreUnavailable(RuntimeFault):
    """No answer, or none that says anything about the data. What was asked for may have happened."""


class DataRefused(RuntimeFault):
    """The store has read the data, and will not take it on any later attempt either."""


class ClickHouse:
    """Opened at the first call, and anew after a failure. Several in one process may share a directory:
    they are connections to the same engine. Only one process at a time can have a directory."""

    def __init__(
        self,
        target: str | Path,
        *,
        timeout_s: float = 30.0,
        calls_waiting_max: int = 64,
        threads_given_up_max: int = 3,
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        """``target`` is a server's ``http(s)://user:password@host:port/database``, or a directory for
        chDB. ``timeout_s`` bounds a call, its wait in the queue included."""
        # Absolute at once: chDB changes the working directory of the process while it is imported.
        self._target = target.resolve() if isinstance(target, Path) else target
        self._timeout_s = timeout_s
        self._calls_waiting_max = calls_waiting_max
        self._threads_given_up_max = threads_given_up_max
        self._settings = {**_SESSION, **(settings or {})}
        self._worker: _Worker | None = None
        self._given_up: list[_Worker] = []
        self._closed = False

    def __repr__(self) -> str:
        if isinstance(self._target, Path):
            return f"chDB in {self._target}"
        url = urlsplit(self._target)
        return f"ClickHouse at {url.scheme}://{url.hostname}:{url.port}{url.path}"

    async def call(self, operation: Callable[[Client], T], timeout_s: float | None = None) -> T:
        """Run the operation in the client's thread.

        Raises:
            StoreUnavailable: no answer within the deadline, or one that may be another next time.
            DataRefused: the data cannot be stored.
        Whatever else the operation raises is a defect, and raised as it is.
        """
        timeout_s = timeout_s or self._timeout_s
        worker = self._worker_now()
        if worker.calls.qsize() >= self._calls_waiting_max:
            raise StoreUnavailable(f"{self}: {self._calls_waiting_max} calls are waiting")
        future: Future[T] = Future()
        worker.calls.put((future, operation))
        try:
            async with asyncio.timeout(timeout_s):
                return await asyncio.wrap_future(future)
        except TimeoutError:
            if worker is self._worker and worker.running is future:
                self._give_up(worker)
            raise StoreUnavailable(f"{self}: no answer within {timeout_s:g} s") from None

    @property
    def is_stuck(self) -> bool:
        """Whether so many calls hang that no other is tried. Only a new process helps."""
        return sum(worker.thread.is_alive() for worker in self._given_up) > self._threads_given_up_max

    async def close(self) -> None:
        """Let go of the client, and with it of the directory, once its call has ended or run out of time."""
        self._closed = True
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.calls.put(None)
            await asyncio.to_thread(worker.thread.join, self._timeout_s)

    def _worker_now(self) -> _Worker:
        if self._closed:
            raise StoreUnavailable(f"{self} is closed")
        if self._worker is None or not self._worker.thread.is_alive():
            self._given_up = [worker for worker in self._given_up if worker.thread.is_alive()]
            if len(self._given_up) > self._threads_given_up_max:
                raise StoreUnavailable(f"{self}: {len(self._given_up)} calls hang")
            self._worker = _Worker(self._open)
        return self._worker

    def _give_up(self, worker: _Worker) -> None:
        _log.warning("a call hangs", extra={"store": repr(self)})
        self._worker = None
        self._given_up.append(worker)
        # Those behind it would hang with it; their callers ask again.
        while True:
            try:
                call = worker.calls.get_nowait()
            except queue.Empty:
                break
            if call is not None and call[0].set_running_or_notify_cancel():
                call[0].set_exception(StoreUnavailable(f"{self}: an earlier call hangs"))
        worker.calls.put(None)

    def _open(self) -> Client:
        if isinstance(self._target, Path):
            self._target.mkdir(parents=True, exist_ok=True)
            client = clickhouse_connect.get_client(
                interface="chdb",
                path=str(self._target),
                chdb_options=_ENGINE,
                settings={**_ENGINE_SESSION, **self._settings},
            )
            database = DATABASE
        else:
            url = urlsplit(self._target)
            client = clickhouse_connect.get_client(
                dsn=url._replace(path="").geturl(),
                interface=url.scheme,
                database="__default__",
                connect_timeout=CONNECT_TIMEOUT_S,
                send_receive_timeout=max(1, int(self._timeout_s)),
                autogenerate_session_id=False,
                settings=self._settings,
            )
            database = url.path.strip("/") or DATABASE
        # Not everyone who may use a database may create one.
        known = client.query("SELECT name FROM system.databases").result_rows
        if (database,) not in known:
            client.command(f"CREATE DATABASE IF NOT EXISTS `{database.replace('`', '')}`")
        client.database = database
        return client


class _Worker:
    """A thread and the client it owns. Ends at a ``None`` in its queue."""

    def __init__(self, open_client: Callable[[], Client]) -> None:
        self.calls: queue.SimpleQueue[tuple[Future[Any], Callable[[Client], Any]] | None] = (
            queue.SimpleQueue()
        )
        self.running: Future[Any] | None = None
        self._open_client = open_client
        # A daemon: a call that hangs must not keep the process.
        self.thread = threading.Thread(target=self._run, name="clickhouse", daemon=True)
        self.thread.start()

    def _run(self) -> None:
        client: Client | None = None
        while (call := self.calls.get()) is not None:
            future, operation = call
            if not future.set_running_or_notify_cancel():
                continue
            self.running = future
            try:
                client = client or self._open_client()
                future.set_result(operation(client))
            except Exception as error:
                fault = _fault(error)
                if isinstance(fault, StoreUnavailable):
                    _close(client)
                    client = None
                future.set_exception(fault)
            finally:
                self.running = None
        _close(client)


def _close(client: Client | None) -> None:
    if client is not None:
        try:
            client.close()
        except Exception:
            _log.debug("cannot close the client", exc_info=True)


def _fault(error: Exception) -> Exception:
    """What an error that came out of the client means to a caller."""
    if isinstance(error, ClickHouseError):
        if getattr(error, "code", None) in _DATA_REFUSED:
            return DataRefused(str(error))
        return StoreUnavailable(str(error))
    if isinstance(error, OSError):
        return StoreUnavailable(f"{type(error).__name__}: {error}")
    return error
