"""The processes of the server and of the load, from outside: who they are, and what they use.

Owns finding them on this machine and naming their roles. It reads ``/proc``; it asks nobody.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Sequence
from urllib.parse import urlsplit

import msgspec
import psutil

from benchmarks.load.target import Target
from clients.sign_in import addresses_of

LOAD = "load generator"
_LOOK_AGAIN_SAMPLES = 5
"""New processes are looked for in every so many samples: walking all of them is not free."""
_ROLES = (
    ("ray::Gateway", "gateway"),
    ("ray::SessionHost", "session host"),
    ("ray::crash", "crash table"),
    ("ray::Crash", "crash table"),
    ("ray::Coordinator", "coordinator"),
    ("ray::", "other actors"),
    ("casino up", "launcher"),
    ("postgres", "Postgres"),
    ("valkey", "Valkey"),
    ("redis-server", "Valkey"),
)
_RAY = ("raylet", "gcs_server", "/ray/", "ray-", "log_monitor", "dashboard")


class Usage(msgspec.Struct, frozen=True):
    """One role at one time. ``cpu_share`` is in cores since the sample before, ``resident_bytes`` with
    what its processes share counted in each."""

    role: str
    cpu_share: float
    resident_bytes: int


def role_of(command: Sequence[str], name: str) -> str:
    """What a process is for, by its command line; its own name when that does not tell."""
    line = " ".join(command) or name
    for mark, role in _ROLES:
        if mark in line:
            return role
    if any(mark in line for mark in _RAY):
        return "Ray"
    # ``python server.py …`` and ``python -m package.server …`` are called after what they run.
    for word in command[1:]:
        if word.endswith(".py"):
            return word.rpartition("/")[2].removesuffix(".py")
        if "." in word and not word.startswith(("-", "/")) and "-m" in command:
            return word.rpartition(".")[2]
    return name


class Processes:
    """The server's processes, summed by role, beside our own generators."""

    def __init__(self, roots: Iterable[int]) -> None:
        """``roots``: process ids whose descendants belong to the server, too. Empty: it cannot be seen."""
        self._roots = list(roots)
        self._mine = psutil.Process()
        self._known: dict[int, tuple[psutil.Process, str]] = {}
        self._cpu_s: dict[int, float] = {}
        self._at_s: float | None = None
        self._samples = 0

    @property
    def is_seen(self) -> bool:
        """Whether the server's processes can be seen."""
        return bool(self._roots)

    def sample(self, now_s: float) -> list[Usage]:
        """What each role used since the last sample. The first one says nothing of CPU."""
        if self._samples % _LOOK_AGAIN_SAMPLES == 0:
            self._look()
        self._samples += 1
        passed_s = now_s - self._at_s if self._at_s is not None else None
        self._at_s = now_s
        cpu: defaultdict[str, float] = defaultdict(float)
        resident: defaultdict[str, int] = defaultdict(int)
        for pid, (process, role) in list(self._known.items()):
            try:
                with process.oneshot():
                    times, memory = process.cpu_times(), process.memory_info()
            except psutil.Error:
                del self._known[pid]
                continue
            used_s = times.user + times.system
            if passed_s:
                # A process that is new has used everything since it began.
                cpu[role] += max(0.0, used_s - self._cpu_s.get(pid, used_s)) / passed_s
            self._cpu_s[pid] = used_s
            resident[role] += memory.rss
        return [Usage(role, round(cpu[role], 4), resident[role]) for role in sorted(resident)]

    def private_bytes(self) -> dict[str, int]:
        """Memory by role that would be free if the role's processes were gone; takes some time."""
        self._look()
        found: defaultdict[str, int] = defaultdict(int)
        for process, role in self._known.values():
            if role != LOAD:
                try:
                    found[role] += process.memory_full_info().uss
                except psutil.Error:
                    continue
        return dict(found)

    def executable(self, role: str) -> str | None:
        """Path of the program of a role's first process."""
        for process, its_role in self._known.values():
            if its_role == role:
                try:
                    return str(process.exe())
                except psutil.Error:
                    continue
        return None

    def _look(self) -> None:
        for child in self._mine.children(recursive=True):
            self._meet(child, LOAD)
        for pid in self._roots:
            try:
                root = psutil.Process(pid)
                family = [root, *root.children(recursive=True)]
            except psutil.Error:
                continue
            for process in family:
                self._meet(process, None)

    def _meet(self, process: psutil.Process, role: str | None) -> None:
        known = self._known.get(process.pid)
        # What is below the server's root is the server's, although it may be our child, too; and titles
        # of Ray's workers change once they know what they are.
        if known is not None and (role is not None or known[1] not in (LOAD, "Ray", "other actors")):
            return
        try:
            self._known[process.pid] = (process, role or role_of(process.cmdline(), process.name()))
        except psutil.Error:
            return


def server_roots(target: Target) -> list[int]:
    """The topmost processes of the server, if it is on this machine and ours to see; else none."""
    if target.pid is not None:
        return [target.pid]
    if not target.is_local:
        return []
    parts = urlsplit(addresses_of(target.url).http)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        found = {
            connection.pid
            for connection in psutil.net_connections("tcp")
            if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port and connection.pid
        }
    except psutil.AccessDenied:
        return []
    mine = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    return sorted({_top(pid, mine) for pid in found})


def _top(pid: int, mine: set[int]) -> int:
    """Up from the process that listens, as long as the one above belongs to a casino."""
    while True:
        try:
            parent = psutil.Process(pid).parent()
            if parent is None or parent.pid <= 1 or parent.pid in mine or not _is_servers(parent):
                return pid
            pid = int(parent.pid)
        except psutil.Error:
            return pid


def _is_servers(process: psutil.Process) -> bool:
    line = " ".join(process.cmdline())
    return any(mark in line for mark in ("casino up", "bin/casino", *_RAY))
