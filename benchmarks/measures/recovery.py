"""How soon everybody is served again when a session host is killed.

``python -m benchmarks.measures.recovery``. Owns the crime and the stopwatch: guests with open sockets, a
``kill -9``, and one command from each in the same moment. Sockets stay open: they are a gateway's.
"""

from __future__ import annotations

import asyncio
import gc
import math
import os
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from time import monotonic_ns
from typing import Annotated

import asyncpg
import msgspec
import psutil
import typer

from benchmarks.descriptors import allow_sockets
from benchmarks.load.target import Target
from benchmarks.measures.command_line import tell
from benchmarks.measures.guests import guest_casino, registered
from benchmarks.measures.memory import CONNECTIONS_MAX
from benchmarks.measures.seats import Seat, Seats, answered
from benchmarks.measures.server import SESSION_HOST, MeasureFailed, dsn_of, pids_of, quiet

HOSTS_MAX = 64

_SIGN_IN_S = 300.0
_ANSWER_S = 120.0
_SPIN = {"stake": 1}
_NS = 1e9
_LAST_COMMITS = """
    SELECT DISTINCT ON (j.actor) split_part(j.actor, '/', 2) AS user_id, i.address
    FROM journal j JOIN incarnations i ON i.id = j.incarnation
    WHERE j.actor LIKE 'session/%' AND i.fenced_at IS NULL
    ORDER BY j.actor, j.seq DESC
"""


class Recovery(msgspec.Struct, kw_only=True):
    """Seconds from the kill."""

    all_answered_s: float
    """Until the last of all sessions had its answer."""
    first_answer_p50_s: float
    """Of the sessions that lived on the host that was killed; the others do not notice."""
    first_answer_p99_s: float
    sessions: int
    host_sessions: int
    """Of them, those that lived on the host that was killed."""


async def recovery(report: Callable[[str], None], *, sessions: int = 10_000, hosts: int = 2) -> Recovery:
    """Kill one of so many session hosts of a casino of its own, on this machine. With one host all
    sessions live on it, and nobody is left to take them over but its successor.

    Raises:
        ValueError: the numbers make no sense.
        TargetError, MeasureFailed, TooFewDescriptors: there is nothing to be measured.
    """
    if not 1 <= sessions <= CONNECTIONS_MAX:
        raise ValueError(f"sessions: {sessions:,} must be between 1 and {CONNECTIONS_MAX:,}")
    if not 1 <= hosts <= HOSTS_MAX:
        raise ValueError(f"hosts: {hosts} must be between 1 and {HOSTS_MAX}")
    allow_sockets(sessions)
    report("starting a casino")
    async with guest_casino({"CASINO_SESSION_HOSTS": str(hosts)}) as casino:
        target = casino.target
        user_ids = await registered(casino, sessions)
        async with Seats(target.url) as seats:
            guests = [casino.guest(user_id) for user_id in user_ids]
            opened = await seats.open(guests, report, _SIGN_IN_S)
            await answered([seat.ask("spin_slots", _SPIN) for seat in opened], _ANSWER_S)
            report("everybody has played; waiting for the server to come to rest")
            await quiet(target, report)
            victim, lost = await _victim(target, hosts, set(user_ids))
            report(f"kill -9 {victim}, the host of {len(lost):,} of {sessions:,} sessions")
            times_s = await _killed(victim, opened)
            retried = dict(seats.measurements.retried)
    found = concluded(times_s, lost)
    report(
        f"all {sessions:,}: p50 {quantile(list(times_s.values()), 0.5):.3f} s; the host's: "
        f"first {min(times_s[user_id] for user_id in lost):.3f} s, p50 {found.first_answer_p50_s:.3f} s; "
        f"asked again: {retried or 'nobody'}"
    )
    return found


async def _killed(victim: int, seats: Sequence[Seat]) -> dict[str, float]:
    """Seconds until each user's answer."""
    # A collection of our own garbage would be charged to the server.
    gc.collect()
    gc.disable()
    try:
        began_ns = monotonic_ns()
        os.kill(victim, signal.SIGKILL)
        asked = [seat.ask("spin_slots", _SPIN) for seat in seats]
        at_ns = await answered(asked, _ANSWER_S)
    except ProcessLookupError:
        raise MeasureFailed("the host had died before it could be killed") from None
    finally:
        gc.enable()
    return {seat.user_id: (answer_ns - began_ns) / _NS for seat, answer_ns in zip(seats, at_ns, strict=True)}


async def _victim(target: Target, hosts: int, user_ids: set[str]) -> tuple[int, set[str]]:
    """The process of the host with most sessions, and whose they are: those whose last turn it committed."""
    pids = pids_of(target, SESSION_HOST)
    if len(pids) != hosts:
        raise MeasureFailed(f"{len(pids)} processes of session hosts are seen where there should be {hosts}")
    rows = await _last_commits(target)
    living: dict[int, set[str]] = {pid: set() for pid in pids}
    listening = {address: pid for pid in pids for address in await asyncio.to_thread(_addresses, pid)}
    for row in rows:
        pid = listening.get(row["address"])
        if pid is not None and row["user_id"] in user_ids:
            living[pid].add(row["user_id"])
    victim = max(pids, key=lambda pid: len(living[pid]))
    if not living[victim]:
        raise MeasureFailed("no session can be found on any host")
    return victim, living[victim]


async def _last_commits(target: Target) -> list[asyncpg.Record]:
    """Of every session, whose it is and the address of the host that committed its last turn, if that host
    has not been fenced since."""
    try:
        connection = await asyncpg.connect(dsn_of(target))
        try:
            return await connection.fetch(_LAST_COMMITS)
        finally:
            await connection.close()
    except (asyncpg.PostgresError, OSError) as error:
        raise MeasureFailed(f"the run's own database does not say who lives where: {error}") from error


def _addresses(pid: int) -> list[str]:
    """What a host's process listens on, as hosts write it into the membership."""
    try:
        return [f"unix:{found.laddr}" for found in psutil.Process(pid).net_connections("unix") if found.laddr]
    except psutil.Error as error:
        raise MeasureFailed(f"the session host {pid} cannot be looked at: {error}") from None


def concluded(times_s: Mapping[str, float], lost: set[str]) -> Recovery:
    """``times_s``: of every user; ``lost``: those who lived on the host, at least one of them."""
    of_host = [times_s[user_id] for user_id in lost]
    return Recovery(
        all_answered_s=round(max(times_s.values()), 3),
        first_answer_p50_s=round(quantile(of_host, 0.5), 3),
        first_answer_p99_s=round(quantile(of_host, 0.99), 3),
        sessions=len(times_s),
        host_sessions=len(lost),
    )


def quantile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least such a share of the values does not exceed (nearest rank)."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def _lines(found: Recovery) -> Iterator[str]:
    yield f"{found.sessions:,} sessions, {found.host_sessions:,} of them on the host that was killed"
    yield f"all had answered after {found.all_answered_s:.3f} s"
    yield f"its sessions: p50 {found.first_answer_p50_s:.3f} s, p99 {found.first_answer_p99_s:.3f} s"


def command(
    sessions: Annotated[int, typer.Option(help="Guests with open sockets, one each.")] = 10_000,
    hosts: Annotated[int, typer.Option(help="Session hosts, of which one is killed.")] = 2,
    json: Annotated[bool, typer.Option("--json", help="Print the result as one JSON object.")] = False,
) -> None:
    """Measure how soon everybody is served again after kill -9 of a session host."""
    tell("recovery", lambda report: recovery(report, sessions=sessions, hosts=hosts), _lines, json)


if __name__ == "__main__":
    typer.run(command)
