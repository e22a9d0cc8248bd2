"""The server of a measure, seen from outside: its processes, its memory at rest, who is resident.

Owns waiting until there is something to be measured. It asks the system and the server's metrics, and never
the server's code.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from time import monotonic

import httpx
import msgspec
import psutil
from prometheus_client.parser import text_string_to_metric_families

from benchmarks.load.processes import Processes, role_of
from benchmarks.load.target import Target

SESSION_HOST = "session host"
GATEWAY = "gateway"
CRASH_TABLE = "crash table"

TRIMMED_AFTER_S = 18.0
"""A host trims what it keeps of an actor 15 s after its last command, and looks once a second."""

_QUIET_CORES = 0.25
_QUIET_LOOKS = 3
_QUIET_DEADLINE_S = 180.0
_RESIDENT_DEADLINE_S = 30.0
_LOOK_S = 1.0
_ACTIVATIONS = "casino_host_activations"


class MeasureFailed(Exception):
    """There is no figure to give. The message says why."""


class _RunState(msgspec.Struct):
    dsn: str


def dsn_of(target: Target) -> str:
    """The database of a casino that runs in a directory of this machine.

    Raises:
        MeasureFailed: it has not said which.
    """
    if target.data is None:
        raise MeasureFailed(f"{target.name} keeps its data elsewhere")
    try:
        return msgspec.json.decode((target.data / "run.json").read_bytes(), type=_RunState).dsn
    except (OSError, msgspec.DecodeError) as error:
        raise MeasureFailed(f"the casino does not say where its database is: {error}") from None


def members(target: Target) -> list[tuple[psutil.Process, str]]:
    """The server's processes and their roles, as they are now."""
    if target.pid is None:
        return []
    found = []
    try:
        root = psutil.Process(target.pid)
        family = [root, *root.children(recursive=True)]
    except psutil.Error:
        return []
    for process in family:
        try:
            found.append((process, role_of(process.cmdline(), process.name())))
        except psutil.Error:
            continue
    return found


def pids_of(target: Target, role: str) -> list[int]:
    """In the order of their start."""
    return sorted(process.pid for process, its_role in members(target) if its_role == role)


def cpu_seconds(target: Target) -> dict[str, float]:
    """By role, since each process began."""
    used: defaultdict[str, float] = defaultdict(float)
    for process, role in members(target):
        try:
            times = process.cpu_times()
        except psutil.Error:
            continue
        used[role] += times.user + times.system
    return dict(used)


def private_bytes(target: Target) -> dict[str, int]:
    """By role: what would be free if its processes were gone."""
    return Processes([target.pid] if target.pid is not None else []).private_bytes()


def grown(before: Mapping[str, int], after: Mapping[str, int], *roles: str) -> int:
    """Bytes by which these roles' private memory has grown."""
    return sum(after.get(role, 0) - before.get(role, 0) for role in roles)


async def quiet(target: Target, report: Callable[[str], None]) -> None:
    """Wait until the server has nothing left to do: events are relayed, garbage is collected."""
    deadline_s = monotonic() + _QUIET_DEADLINE_S
    looks, used_s, at_s = 0, sum(cpu_seconds(target).values()), monotonic()
    while looks < _QUIET_LOOKS:
        await asyncio.sleep(_LOOK_S)
        now_used_s, now_s = sum(cpu_seconds(target).values()), monotonic()
        cores = (now_used_s - used_s) / (now_s - at_s)
        used_s, at_s = now_used_s, now_s
        looks = looks + 1 if cores < _QUIET_CORES else 0
        if now_s > deadline_s:
            report(f"the server is still busy ({cores:.2f} cores); measuring all the same")
            return


async def at_rest(target: Target, report: Callable[[str], None]) -> dict[str, int]:
    """Private bytes by role, once the server is quiet and has let go of what it keeps for a while."""
    began_s = monotonic()
    await quiet(target, report)
    await asyncio.sleep(max(0.0, TRIMMED_AFTER_S - (monotonic() - began_s)))
    found = await asyncio.to_thread(private_bytes, target)
    if not found.get(SESSION_HOST):
        raise MeasureFailed("the server's session hosts cannot be seen: their memory is unknown")
    return found


async def check_resident(target: Target, sessions: int) -> None:
    """That so many sessions are in the memory of session hosts, by what these export.

    Raises:
        MeasureFailed: they are not, or nobody says so.
    """
    deadline_s = monotonic() + _RESIDENT_DEADLINE_S
    while True:
        resident = await resident_sessions(target.metrics)
        if resident is not None and resident >= sessions:
            return
        if monotonic() > deadline_s:
            raise MeasureFailed(
                f"{sessions:,} sessions should be resident, but the hosts' metrics say "
                f"{'nothing' if resident is None else f'{resident:,}'}"
            )
        # Metrics are seconds old.
        await asyncio.sleep(_LOOK_S)


async def resident_sessions(endpoints: Sequence[str]) -> int | None:
    """Sum over all session hosts; None when no endpoint tells."""
    found: list[float] = []
    async with httpx.AsyncClient(timeout=5.0, trust_env=False) as client:
        for endpoint in endpoints:
            try:
                answer = await client.get(endpoint)
                answer.raise_for_status()
                found += activations_in(answer.text)
            except (httpx.HTTPError, ValueError):
                continue
    return int(sum(found)) if found else None


def activations_in(text: str) -> list[float]:
    """Of each session host in a page of metrics. Raises ``ValueError`` when it is no such page."""
    return [
        sample.value
        for family in text_string_to_metric_families(text)
        if family.name.removeprefix("ray_") == _ACTIVATIONS
        for sample in family.samples
        if sample.labels.get("process", "").startswith("session-host")
    ]
