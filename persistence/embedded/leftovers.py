"""Server processes that a killed launcher left behind in a data directory.

A server's processes work in their data directory, which is how they are told from those of other
instances. Only a caller that holds the directory's lock may end them.
"""

from __future__ import annotations

import logging
import os
import signal
import time
from pathlib import Path

import psutil

from persistence.embedded.process import EmbeddedServerError

_log = logging.getLogger(__name__)

SHUTDOWN_PATIENCE_S = 60.0
ORPHANS_PATIENCE_S = 2.0
INSIST_PATIENCE_S = 10.0


def processes_in(program: str, directory: Path) -> list[psutil.Process]:
    """Live processes of that program whose working directory is ``directory``."""
    wanted = os.path.realpath(directory)
    found = []
    for process in psutil.process_iter():
        try:
            if process.name() == program and process.cwd() == wanted:
                found.append(process)
        except psutil.Error:
            continue
    return found


def end_leftovers(program: str, directory: Path) -> None:
    """End them: an orderly shutdown first, then by force.

    A leftover must be gone before a new server starts: two of them on one directory destroy it.

    Raises:
        EmbeddedServerError: one would not go.
    """
    found = processes_in(program, directory)
    if not found:
        return
    _log.warning("ending %d %s processes left behind in %s", len(found), program, directory)
    pids = {process.pid for process in found}
    heads = [process for process in found if _parent_pid(process) not in pids]
    # A server ends its own children. Orphans of a killed one have nobody left to tell them.
    patience_s = SHUTDOWN_PATIENCE_S if len(heads) < len(found) else ORPHANS_PATIENCE_S
    for number, targets, seconds in (
        (signal.SIGINT, heads, patience_s),
        (signal.SIGQUIT, None, INSIST_PATIENCE_S),
        (signal.SIGKILL, None, INSIST_PATIENCE_S),
    ):
        for process in targets or processes_in(program, directory):
            try:
                process.send_signal(number)
            except psutil.Error:
                continue
        if _gone(program, directory, seconds):
            return
    remaining = sorted(process.pid for process in processes_in(program, directory))
    raise EmbeddedServerError(
        f"{program} processes {remaining} still use {directory} and cannot be ended. "
        "End them, then start again."
    )


def _parent_pid(process: psutil.Process) -> int | None:
    try:
        return int(process.ppid())
    except psutil.Error:
        return None


def _gone(program: str, directory: Path, patience_s: float) -> bool:
    deadline = time.monotonic() + patience_s
    while processes_in(program, directory):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True
