"""A server that runs as a child of the launcher: started, watched, restarted, stopped.

Knows processes, not databases. The child gets a process group of its own, so that Ctrl-C at the
terminal reaches only the launcher, which stops things in order; and when the launcher is killed
outright, the kernel asks the child to shut down. Must not import Ray or anything of the runtime.
"""

from __future__ import annotations

import fcntl
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

from persistence.embedded.account import Account

_log = logging.getLogger(__name__)

RESTART_DELAY_FIRST_S = 0.2
RESTART_DELAY_MAX_S = 10.0
DEATHS_MAX = 6
DEATHS_WINDOW_S = 120.0
_LOG_BYTES_MAX = 20_000_000
_PROGRESS_EVERY_S = 5.0

# Runs between fork and the server. A program instead of ``preexec_fn``, which may deadlock in a
# process with threads; and the signal must be asked for after the change of user, which clears it.
_TRAMPOLINE = """
import ctypes, os, sys
parent, uid, gid, number = map(int, sys.argv[1:5])
if uid >= 0:
    os.setgroups([]); os.setgid(gid); os.setuid(uid)
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, number)
    if os.getppid() != parent:
        sys.exit("the launcher is gone")
os.umask(0o077)
os.execv(sys.argv[5], sys.argv[5:])
"""


class EmbeddedServerError(RuntimeError):
    """An embedded server cannot be started or kept running. The message says what to do."""


def log_tail(path: Path, lines: int = 15) -> str:
    """The last lines of a log, indented, for an error message."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - 16_384))
            text = file.read().decode(errors="replace")
    except OSError as error:
        return f"  (no log: {error})"
    return "\n".join(f"  {line}" for line in text.splitlines()[-lines:]) or "  (the log is empty)"


class DirectoryLock:
    """Keeps a second launcher off a data directory. The kernel drops it when the holder dies."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    def take(self) -> None:
        """Raises :class:`EmbeddedServerError` when another process holds it."""
        if self._descriptor is not None:
            raise EmbeddedServerError(f"{self._path} is held by this process already")
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(descriptor)
            raise EmbeddedServerError(
                f"{self._path.parent} is in use by another casino. Stop that one, or choose another --data."
            ) from error
        self._descriptor = descriptor

    def drop(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


class SupervisedProcess:
    """Keeps one child running until it is told to stop.

    The thread that starts the child lives as long as it does: the kernel's "tell me when my
    parent dies" means the parent *thread*.
    """

    def __init__(
        self,
        name: str,
        argv: Sequence[str],
        *,
        log_path: Path,
        account: Account | None,
        prepare: Callable[[], None],
        is_ready: Callable[[int], bool],
        stop_steps: Sequence[tuple[signal.Signals, float]],
        on_failure: Callable[[EmbeddedServerError], None] | None = None,
    ) -> None:
        """``prepare`` runs before each start; ``is_ready`` gets the pid. ``stop_steps`` are signals
        and the seconds to wait after each, before SIGKILL; the first is also sent when the
        launcher dies. ``on_failure`` is called from the watching thread when restarts are given up."""
        self.name = name
        self._argv = argv
        self._log_path = log_path
        self._account = account
        self._prepare = prepare
        self._is_ready = is_ready
        self._stop_steps = stop_steps
        self._on_failure = on_failure
        self._process: subprocess.Popen[bytes] | None = None
        self._thread: threading.Thread | None = None
        self._stopping = threading.Event()
        self._spawned = threading.Event()
        self._was_ready = False
        self._spawn_error: Exception | None = None
        self.restarts = 0

    @property
    def pid(self) -> int | None:
        process = self._process
        return process.pid if process is not None and process.poll() is None else None

    def is_running(self) -> bool:
        pid = self.pid
        return pid is not None and self._is_ready(pid)

    def start(self, timeout_s: float) -> None:
        """Start, and return when the server is ready.

        Raises:
            EmbeddedServerError: it exited, or was not ready in time; then it is stopped again.
        """
        if self._thread is not None:
            raise EmbeddedServerError(f"{self.name} was started before")
        self._prepare()
        self._thread = threading.Thread(target=self._watch, name=f"{self.name}-watch", daemon=True)
        self._thread.start()
        self._spawned.wait()
        started = reported = time.monotonic()
        while not self.is_running():
            if self._spawn_error is not None or self.pid is None:
                self._stopping.set()
                raise EmbeddedServerError(self._why(f"{self.name} did not start")) from self._spawn_error
            now = time.monotonic()
            if now - started > timeout_s:
                self.stop()
                raise EmbeddedServerError(
                    self._why(f"{self.name} was not ready after {timeout_s:.0f} s")
                    + "\nIf it was still recovering, start again with a longer timeout."
                )
            if now - reported > _PROGRESS_EVERY_S:
                reported = now
                _log.info("waiting for %s\n%s", self.name, log_tail(self._log_path, 1))
            time.sleep(0.02)
        self._was_ready = True

    def stop(self) -> None:
        """Ask it to stop, wait, and insist. Idempotent; returns when the process is gone."""
        self._stopping.set()
        process = self._process
        if process is not None:
            for number, patience_s in (*self._stop_steps, (signal.SIGKILL, 10.0)):
                if process.poll() is not None:
                    break
                process.send_signal(number)
                try:
                    process.wait(patience_s)
                except subprocess.TimeoutExpired:
                    _log.warning("%s is still there %.0f s after %s", self.name, patience_s, number.name)
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(5.0)

    def _why(self, what: str) -> str:
        return f"{what}. The end of its log, {self._log_path}:\n{log_tail(self._log_path)}"

    def _spawn(self) -> subprocess.Popen[bytes]:
        if self._log_path.exists() and self._log_path.stat().st_size > _LOG_BYTES_MAX:
            self._log_path.replace(self._log_path.with_suffix(".log.1"))
        uid, gid = (self._account.uid, self._account.gid) if self._account else (-1, -1)
        death_signal = self._stop_steps[0][0]
        launch = [sys.executable, "-I", "-S", "-c", _TRAMPOLINE, str(os.getpid()), str(uid), str(gid)]
        with self._log_path.open("ab") as log:
            return subprocess.Popen(  # noqa: S603
                [*launch, str(int(death_signal)), *self._argv],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                start_new_session=True,
            )

    def _watch(self) -> None:
        deaths: deque[float] = deque(maxlen=DEATHS_MAX)
        delay_s = RESTART_DELAY_FIRST_S
        while True:
            try:
                self._process = self._spawn()
            except OSError as error:
                self._spawn_error = error
                self._spawned.set()
                return
            self._spawned.set()
            began = time.monotonic()
            code = self._process.wait()
            if self._stopping.is_set() or not self._was_ready:
                return
            now = time.monotonic()
            _log.error("%s ended unexpectedly (exit status %s); restarting", self.name, code)
            deaths.append(now)
            if len(deaths) == DEATHS_MAX and now - deaths[0] < DEATHS_WINDOW_S:
                self._give_up(f"{self.name} died {DEATHS_MAX} times in {now - deaths[0]:.0f} s")
                return
            delay_s = (
                RESTART_DELAY_FIRST_S
                if now - began > DEATHS_WINDOW_S
                else min(delay_s * 2, RESTART_DELAY_MAX_S)
            )
            if self._stopping.wait(delay_s):
                return
            try:
                self._prepare()
            except Exception as error:
                self._give_up(f"{self.name} cannot be restarted: {error}")
                return
            self.restarts += 1

    def _give_up(self, what: str) -> None:
        failure = EmbeddedServerError(self._why(what))
        _log.error("%s", failure)
        if self._on_failure is not None:
            self._on_failure(failure)
