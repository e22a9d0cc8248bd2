"""One installation on one machine: its directories, its secrets, and what runs at the moment."""

from __future__ import annotations

import fcntl
import hashlib
import os
import secrets
import tempfile
from pathlib import Path
from typing import IO

import msgspec


class RunState(msgspec.Struct):
    """Left in the data directory while ``casino up`` runs, for the other commands."""

    pid: int
    url: str
    dsn: str
    redis_url: str
    dashboard: str
    ray_address: str


class AlreadyRunning(RuntimeError):
    """Another ``casino up`` holds this data directory."""


class NotRunning(RuntimeError):
    """There is no ``casino up`` on this data directory."""


class Instance:
    def __init__(self, data: Path) -> None:
        self.data = data.absolute()
        digest = hashlib.sha256(str(self.data).encode()).hexdigest()[:10]
        # Unix socket paths end at 107 bytes, wherever the data directory may be.
        self.runtime = Path(tempfile.gettempdir()) / f"casino-run-{digest}"
        self._state = self.data / "run.json"
        self._lock: IO[str] | None = None

    def prepare(self) -> None:
        """Make the directories; private, because tokens and sockets live there."""
        self.data.mkdir(parents=True, exist_ok=True)
        for directory in (self.data / "secrets", self.data / "logs", self.runtime):
            directory.mkdir(mode=0o700, exist_ok=True)
        if self.runtime.stat().st_uid != os.getuid():
            raise PermissionError(f"{self.runtime} belongs to another user: remove it")

    def secret(self, name: str, size: int = 32) -> str:
        """A secret of this instance as hex, made when it is first asked for."""
        path = self.data / "secrets" / name
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            return path.read_text().strip()
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_hex(size))
        return path.read_text()

    def keep_secret(self, name: str, value: str) -> None:
        """Keep a secret that was given from outside, in place of one that was made here."""
        partial = self.data / "secrets" / f"{name}.partial"
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(value)
        partial.replace(self.data / "secrets" / name)

    def secret_path(self, name: str) -> Path:
        self.secret(name)
        return self.data / "secrets" / name

    def lock(self) -> None:
        """Hold the instance until this process ends.

        Raises:
            AlreadyRunning: another process holds it.
        """
        file = (self.data / "up.lock").open("a")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.close()
            raise AlreadyRunning(
                f"casino is already up on {self.data}: see 'casino status', or stop it with 'casino down'"
            ) from None
        self._lock = file

    def is_locked(self) -> bool:
        """Whether some ``casino up`` holds the instance."""
        try:
            with (self.data / "up.lock").open("a") as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return (self.data / "up.lock").exists()
        return False

    def write_state(self, state: RunState) -> None:
        partial = self._state.with_suffix(".partial")
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(msgspec.json.encode(state))
        partial.replace(self._state)

    def clear_state(self) -> None:
        self._state.unlink(missing_ok=True)

    def state(self) -> RunState:
        """Raises:
        NotRunning: nothing is up on this data directory.
        """
        if self.is_locked():
            try:
                return msgspec.json.decode(self._state.read_bytes(), type=RunState)
            except (OSError, msgspec.DecodeError):
                raise NotRunning(f"casino on {self.data} is still starting: try again") from None
        raise NotRunning(f"casino is not running on {self.data}: start it with 'casino up'")
