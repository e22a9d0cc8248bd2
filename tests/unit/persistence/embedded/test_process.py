"""Starting, watching and stopping a child, with small Python programs in place of servers."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from persistence.embedded import process
from persistence.embedded.process import DirectoryLock, EmbeddedServerError, SupervisedProcess, log_tail

SERVES = "import time; print('serving', flush=True); time.sleep(60)"
STUBBORN = (
    "import signal, time; signal.signal(15, signal.SIG_IGN); print('serving', flush=True); time.sleep(60)"
)


def child(
    folder: Path,
    program: str,
    *,
    prepare: Callable[[], None] = lambda: None,
    is_ready: Callable[[int], bool] | None = None,
    on_failure: Callable[[EmbeddedServerError], None] | None = None,
    patience_s: float = 5.0,
) -> SupervisedProcess:
    log = folder / "log"
    return SupervisedProcess(
        "server",
        [sys.executable, "-c", program],
        log_path=log,
        account=None,
        prepare=prepare,
        is_ready=is_ready or (lambda _: log.exists() and "serving" in log.read_text()),
        stop_steps=((signal.SIGTERM, patience_s),),
        on_failure=on_failure,
    )


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_it_runs_in_a_session_of_its_own_until_it_is_stopped(tmp_path: Path) -> None:
    server = child(tmp_path, SERVES)
    server.start(10)
    pid = server.pid
    assert pid is not None
    assert server.is_running()
    assert os.getsid(pid) != os.getsid(0)
    server.stop()
    server.stop()
    assert server.pid is None
    assert not server.is_running()


def test_one_that_will_not_stop_is_killed(tmp_path: Path) -> None:
    server = child(tmp_path, STUBBORN, patience_s=0.2)
    server.start(10)
    began = time.monotonic()
    server.stop()
    assert server.pid is None
    assert time.monotonic() - began < 5


def test_one_that_exits_at_once_is_explained_by_its_log(tmp_path: Path) -> None:
    server = child(tmp_path, "import sys; sys.exit('no space on device')")
    with pytest.raises(EmbeddedServerError, match="no space on device"):
        server.start(10)


def test_one_that_is_never_ready_is_stopped(tmp_path: Path) -> None:
    server = child(tmp_path, SERVES, is_ready=lambda _: False)
    with pytest.raises(EmbeddedServerError, match="not ready after"):
        server.start(0.3)
    assert server.pid is None


def test_a_dead_one_is_restarted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "RESTART_DELAY_FIRST_S", 0.01)
    prepared = []
    server = child(tmp_path, SERVES, prepare=lambda: prepared.append(True))
    server.start(10)
    first = server.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    until(lambda: server.pid not in (None, first))
    assert server.restarts == 1
    assert len(prepared) == 2
    server.stop()


def test_one_that_keeps_dying_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "RESTART_DELAY_FIRST_S", 0.001)
    monkeypatch.setattr(process, "RESTART_DELAY_MAX_S", 0.01)
    gave_up = threading.Event()
    failures: list[EmbeddedServerError] = []

    def failed(error: EmbeddedServerError) -> None:
        failures.append(error)
        gave_up.set()

    server = child(tmp_path, "import time; print('serving', flush=True); time.sleep(0.3)", on_failure=failed)
    server.start(10)
    assert gave_up.wait(20)
    assert "died 6 times" in str(failures[0])
    assert server.pid is None
    server.stop()


def test_a_restart_that_cannot_be_prepared_is_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "RESTART_DELAY_FIRST_S", 0.01)
    gave_up = threading.Event()
    first = True

    def prepare() -> None:
        nonlocal first
        if not first:
            raise EmbeddedServerError("somebody else is there")
        first = False

    server = child(tmp_path, SERVES, prepare=prepare, on_failure=lambda _: gave_up.set())
    server.start(10)
    assert server.pid is not None
    os.kill(server.pid, signal.SIGKILL)
    assert gave_up.wait(10)
    server.stop()


def test_a_lock_is_held_once(tmp_path: Path) -> None:
    first, second = DirectoryLock(tmp_path / "lock"), DirectoryLock(tmp_path / "lock")
    first.take()
    with pytest.raises(EmbeddedServerError, match="in use"):
        second.take()
    first.drop()
    second.take()
    second.drop()


def test_the_tail_of_a_log(tmp_path: Path) -> None:
    path = tmp_path / "log"
    assert "no log" in log_tail(path)
    path.write_text("")
    assert "empty" in log_tail(path)
    path.write_text("\n".join(f"line {number}" for number in range(100)))
    assert log_tail(path, 2) == "  line 98\n  line 99"
