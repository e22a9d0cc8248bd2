"""What one more session, connection or subscription costs the server in memory.

``python -m benchmarks.measures.memory``. Owns the order of the measurement: some of everything first, so that
what a process needs once is not counted; then many, and what private memory has grown by when the server
is at rest again. Memory that the kernel holds for a socket is not in it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Annotated

import msgspec
import typer

from benchmarks.descriptors import allow_sockets
from benchmarks.measures.command_line import numbers, tell
from benchmarks.measures.guests import GuestCasino, guest_casino, played, registered
from benchmarks.measures.seats import Seats, answered
from benchmarks.measures.server import (
    CRASH_TABLE,
    GATEWAY,
    SESSION_HOST,
    at_rest,
    check_resident,
    grown,
)

GIB = 1 << 30
CONNECTIONS_MAX = 19_000
"""A gateway refuses the twenty-thousandth."""

_WARM_UP = 300
_SIGN_IN_S = 300.0
_ANSWER_S = 60.0
_TOPIC = "crash/main"
_SETTINGS = {
    # A table that is taking bets says nothing, so that a subscription is at rest, too.
    "CASINO_CRASH_TABLES": '[{"name": "main", "betting_s": 3600}]',
}


class Memory(msgspec.Struct, kw_only=True):
    """Bytes of private memory of the server's processes."""

    bytes_per_resident_session: dict[int, float]
    """Of session hosts, by how many sessions there were. Each has played once, and nobody is connected."""
    bytes_per_idle_connection: float
    """Of gateways and session hosts: one authenticated WebSocket of a guest whose session is resident."""
    bytes_per_subscription: float
    """Of gateways and tables: one such connection's subscription to a table, on top."""
    sessions_per_gib: float
    """By the largest number of sessions; the process around them is not counted."""


async def memory(
    report: Callable[[str], None],
    *,
    sessions: Sequence[int] = (10_000, 100_000),
    connections: int = 10_000,
) -> Memory:
    """Measure a casino of its own, on this machine. Takes about 1 ms of two cores for each session.

    Raises:
        ValueError: the numbers make no sense.
        TargetError, MeasureFailed, TooFewDescriptors: there is nothing to be measured.
    """
    wanted = sorted(set(sessions))
    check(wanted, connections)
    allow_sockets(connections + _WARM_UP)
    report("starting a casino")
    async with guest_casino(_SETTINGS) as casino:
        first = await registered(casino, _WARM_UP)
        await played(casino, first, report, "sessions to warm up")
        async with Seats(casino.target.url) as seats:
            # Whatever a process makes once for its first connection and subscription is there from now on.
            await _subscribed(casino, seats, first, report)
            return await _measured(casino, seats, wanted, connections, report)


def check(sessions: Sequence[int], connections: int) -> None:
    """Raises ``ValueError`` with what to change. ``sessions`` are in order."""
    if not sessions or sessions[0] < 1:
        raise ValueError("sessions: give at least one number, and none below 1")
    if not 1 <= connections <= min(sessions[-1], CONNECTIONS_MAX):
        raise ValueError(
            f"connections: {connections:,} must be between 1 and the largest number of sessions, "
            f"{sessions[-1]:,} (each is of another guest), and at most {CONNECTIONS_MAX:,}"
        )


async def _measured(
    casino: GuestCasino, seats: Seats, wanted: Sequence[int], connections: int, report: Callable[[str], None]
) -> Memory:
    target = casino.target
    report("waiting for the server to come to rest")
    empty = before = await at_rest(target, report)
    guests: list[str] = []
    per_session: dict[int, float] = {}
    for count in wanted:
        more = await registered(casino, count - len(guests))
        await played(casino, more, report)
        guests += more
        before = await at_rest(target, report)
        await check_resident(target, _WARM_UP + count)
        per_session[count] = grown(empty, before, SESSION_HOST) / count
        report(f"{count:,} resident sessions: {told(empty, before)}")

    opened = await seats.open([casino.guest(user) for user in guests[:connections]], report, _SIGN_IN_S)
    connected = await at_rest(target, report)
    report(f"{connections:,} connections: {told(before, connected)}")
    await answered([seat.ask("subscribe", {"topic": _TOPIC}) for seat in opened], _ANSWER_S)
    subscribed = await at_rest(target, report)
    report(f"{connections:,} subscriptions: {told(connected, subscribed)}")
    largest = per_session[wanted[-1]]
    return Memory(
        bytes_per_resident_session={count: round(each, 1) for count, each in per_session.items()},
        bytes_per_idle_connection=round(grown(before, connected, GATEWAY, SESSION_HOST) / connections, 1),
        bytes_per_subscription=round(grown(connected, subscribed, GATEWAY, CRASH_TABLE) / connections, 1),
        sessions_per_gib=round(sessions_in(GIB, largest), 1),
    )


async def _subscribed(
    casino: GuestCasino, seats: Seats, user_ids: Sequence[str], report: Callable[[str], None]
) -> None:
    opened = await seats.open([casino.guest(user_id) for user_id in user_ids], report, _SIGN_IN_S)
    await answered([seat.ask("subscribe", {"topic": _TOPIC}) for seat in opened], _ANSWER_S)


def sessions_in(room_bytes: int, each_bytes: float) -> float:
    """How many fit; none when what they cost is too little to be seen."""
    return room_bytes / each_bytes if each_bytes > 0 else 0.0


def told(before: Mapping[str, int], after: Mapping[str, int]) -> str:
    """By how much each role has grown, those first that did most."""
    roles = sorted(after, key=lambda role: -grown(before, after, role))
    parts = [f"{role} {grown(before, after, role) / 1024:+,.0f} KiB" for role in roles]
    return ", ".join(part for part in parts if not part.endswith((" +0 KiB", " -0 KiB"))) or "no growth"


def _lines(found: Memory) -> Iterator[str]:
    for count, each in found.bytes_per_resident_session.items():
        yield f"resident session, of {count:,}: {each / 1024:,.2f} KiB"
    yield f"idle connection: {found.bytes_per_idle_connection / 1024:,.2f} KiB"
    yield f"subscription: {found.bytes_per_subscription:,.0f} bytes"
    yield f"sessions per GiB: {found.sessions_per_gib:,.0f}"


def command(
    sessions: Annotated[str, typer.Option(help="Resident sessions, one number after another.")] = (
        "10000,100000"
    ),
    connections: Annotated[int, typer.Option(help="Idle connections, of as many guests.")] = 10_000,
    json: Annotated[bool, typer.Option("--json", help="Print the result as one JSON object.")] = False,
) -> None:
    """Measure what sessions, connections and subscriptions cost a casino in memory."""
    tell(
        "memory",
        lambda report: memory(report, sessions=numbers("--sessions", sessions), connections=connections),
        _lines,
        json,
    )


if __name__ == "__main__":
    typer.run(command)
