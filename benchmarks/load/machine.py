"""What the figures were measured on: the machine's fingerprint."""

from __future__ import annotations

import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Iterable
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from tempfile import NamedTemporaryFile
from time import perf_counter_ns

import msgspec
import psutil

_FLUSHES = 200
_BLOCK = bytes(8192)
"""A page of Postgres."""
_PACKAGES = ("casino-club", "ray", "asyncpg", "picows", "uvloop", "msgspec")


class Machine(msgspec.Struct, frozen=True):
    """``versions`` are by name. ``load_before`` is the system's load average over the last minute when the
    run began: how much else the machine had to do."""

    cores: int
    model: str
    kernel: str
    memory_bytes: int
    load_before: float
    flush_p50_ms: float
    flush_p99_ms: float
    flush_where: str
    """What was probed: the server's data directory, or another one on this machine."""
    versions: dict[str, str]


def fingerprint(probe: Path, where: str, executables: Iterable[str] = ()) -> Machine:
    """Takes a fraction of a second; ``probe`` is a directory whose disk is written to. Programs are asked
    for their ``--version``.

    Raises:
        OSError: nothing can be written there.
    """
    flush_p50_ms, flush_p99_ms = flush_times_ms(probe)
    versions = {"Python": platform.python_version()}
    for package in _PACKAGES:
        with suppress(metadata.PackageNotFoundError):
            versions[package] = metadata.version(package)
    for executable in executables:
        with suppress(OSError, subprocess.SubprocessError):
            done = subprocess.run(  # noqa: S603  # a program that runs here already
                [executable, "--version"], capture_output=True, text=True, timeout=5, check=True
            )
            name, _, version = done.stdout.strip().partition(" ")
            versions[name] = version
    revision = _revision()
    if revision is not None:
        versions["code"] = revision
    return Machine(
        cores=os.cpu_count() or 1,
        model=_model(),
        kernel=platform.release(),
        memory_bytes=psutil.virtual_memory().total,
        load_before=round(os.getloadavg()[0], 2),
        flush_p50_ms=flush_p50_ms,
        flush_p99_ms=flush_p99_ms,
        flush_where=where,
        versions=versions,
    )


def flush_times_ms(folder: Path) -> tuple[float, float]:
    """p50 and p99 of writing a page and flushing it to disk, as a database does with its journal."""
    times = []
    with NamedTemporaryFile(dir=folder, prefix=".flush-probe-") as file:
        for _ in range(_FLUSHES):
            os.pwrite(file.fileno(), _BLOCK, 0)
            began = perf_counter_ns()
            os.fdatasync(file.fileno())
            times.append((perf_counter_ns() - began) / 1e6)
    times.sort()
    return round(times[_FLUSHES // 2], 3), round(times[_FLUSHES * 99 // 100], 3)


def _model() -> str:
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _revision() -> str | None:
    """The commit of the source tree that this runs from, if it is one."""
    folder = Path(__file__).parent
    with suppress(OSError, subprocess.SubprocessError):
        said = [
            subprocess.run(  # noqa: S603
                ["git", "-C", str(folder), *arguments],  # noqa: S607
                capture_output=True,
                text=True,
                timeout=5,
                check=True,
            ).stdout.strip()
            for arguments in (["rev-parse", "--short", "HEAD"], ["status", "--porcelain", "-uno"])
        ]
        return said[0] + (" and changes" if said[1] else "")
    return None


def command_line(arguments: Iterable[str] | None = None) -> str:
    """As it would be typed."""
    words = list(sys.argv if arguments is None else arguments)
    return shlex.join([Path(words[0]).name, *words[1:]])
