"""Processes of Ray that a killed launcher left behind in its working directory.

Owns how they are told from everybody else's: an editor, a ``tail`` or another casino may well name
the same path, and must not be touched.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path, PurePath

import psutil

RAY_SESSIONS_KEPT = 3

_PROGRAMS = {"raylet", "gcs_server"}
_PACKAGES = {("site-packages", "ray"), ("dist-packages", "ray")}
_GONE_DEADLINE_S = 10.0


def is_ray_in(command: Sequence[str], temporary: Path) -> bool:
    """Whether a command line is that of one of Ray's own servers, working in ``temporary``.

    Its workers change their titles and name no path any more; they are its descendants.
    """
    return _is_ray(command) and any(_names(argument, temporary) for argument in command[1:])


def _is_ray(command: Sequence[str]) -> bool:
    """``raylet``, ``gcs_server``, or Python with a script or a module of the package ``ray``."""
    if not command:
        return False
    program = PurePath(command[0]).name
    if program in _PROGRAMS:
        return True
    if not program.startswith("python"):
        return False
    script = next((argument for argument in command[1:] if not argument.startswith("-")), "")
    if "-m" in command[1:] and command[command.index("-m") + 1 :][:1] == [script]:
        return script.partition(".")[0] == "ray"
    return any(pair in _PACKAGES for pair in pairwise(PurePath(script).parts))


def _names(argument: str, directory: Path) -> bool:
    """Whether an argument (``--option=PATH`` or ``PATH``) is the directory or lies in it."""
    path = argument.partition("=")[2] if argument.startswith("-") else argument
    return PurePath(path).is_relative_to(directory)


def clear_leftovers(temporary: Path) -> None:
    """End Ray processes of this user that work in ``temporary``, and forget old sessions."""
    left: list[psutil.Process] = []
    for process in psutil.process_iter(["cmdline", "uids"]):
        uids = process.info["uids"]
        if uids is None or uids.real != os.getuid():
            continue
        if is_ray_in(process.info["cmdline"] or [], temporary):
            left.append(process)
            with contextlib.suppress(psutil.Error):
                left += process.children(recursive=True)
    left = [process for process in left if process.pid != os.getpid()]
    for process in left:
        with contextlib.suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(left, timeout=_GONE_DEADLINE_S)
    sessions = sorted(temporary.glob("session_2*"))
    for session in sessions[:-RAY_SESSIONS_KEPT]:
        shutil.rmtree(session, ignore_errors=True)
