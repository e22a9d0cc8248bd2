"""Rows of the casino alone, or beside its own parts: the words and the figures of ``benchmarks.measures``.

Owns what of a measurement is shown. Each measurement starts what it needs, and ends it.
"""

from __future__ import annotations

from benchmarks.compare.pairing import Spread
from benchmarks.compare.result import Bars, Curve, Figure, Found, Point
from benchmarks.compare.row import Bench
from benchmarks.measures.growth import growth
from benchmarks.measures.memory import Memory, memory
from benchmarks.measures.recovery import recovery
from benchmarks.measures.round_trip import round_trip

BESIDE_PARTS = "time of a spin, as a multiple of its parts' sum"
SESSION, CONNECTION = "a session in memory", "an idle connection"
ALL_ANSWERED, FIRST_ANSWER = "until every session has answered", "until a session has answered, p50"
GROWTH = "CPU time of a command with most sessions, as a multiple of that with fewest"
_KIB = 1024


async def memory_of_casino(bench: Bench) -> Memory:
    """Measured once, whichever row asks first."""
    sizes = bench.sizes
    return await bench.once(
        "memory",
        lambda: memory(bench.report, sessions=sizes.memory_sessions, connections=sizes.memory_connections),
    )


async def parts_of_a_round_trip(bench: Bench) -> Found:
    found = await bench.unless(round_trip(bench.report))
    parts = found.echo_p50_ms + found.hop_p50_ms + found.commit_p50_ms
    figures = [
        Figure("a spin", found.casino_p50_ms, "ms"),
        Figure("a WebSocket echo", found.echo_p50_ms, "ms"),
        Figure("a hop between processes", found.hop_p50_ms, "ms"),
        Figure("a commit in Postgres", found.commit_p50_ms, "ms"),
        Figure("the three parts added up", parts, "ms"),
    ]
    return Found(
        {BESIDE_PARTS: Spread(found.casino_p50_ms / parts)},
        figures,
        bars=[Bars("Half of them take at most", figures)],
    )


async def memory_row(bench: Bench) -> Found:
    found = await memory_of_casino(bench)
    sessions = sorted(found.bytes_per_resident_session.items())
    figures = [Figure(f"a session, with {count:,} in memory", each / _KIB, "KiB") for count, each in sessions]
    figures += [
        Figure(
            f"an idle connection, with {bench.sizes.memory_connections:,} open",
            found.bytes_per_idle_connection / _KIB,
            "KiB",
        ),
        Figure("a subscription to a table", found.bytes_per_subscription / _KIB, "KiB"),
        Figure("sessions per GiB", float(found.sessions_per_gib), ""),
    ]
    # The dearest counts: a target that holds at one size only does not hold.
    return Found(
        {
            SESSION: Spread(max(each for _, each in sessions) / _KIB),
            CONNECTION: Spread(found.bytes_per_idle_connection / _KIB),
        },
        figures,
    )


async def recovery_row(bench: Bench) -> Found:
    found = await bench.unless(recovery(bench.report, sessions=bench.sizes.recovery_sessions))
    return Found(
        {
            ALL_ANSWERED: Spread(found.all_answered_s),
            FIRST_ANSWER: Spread(found.first_answer_p50_s),
        },
        [
            Figure("sessions that played", float(found.sessions), ""),
            Figure("of those in the process that was killed", float(found.host_sessions), ""),
            Figure("first answer, p50", found.first_answer_p50_s, "s"),
            Figure("first answer, p99", found.first_answer_p99_s, "s"),
            Figure("all answered after", found.all_answered_s, "s"),
        ],
    )


async def growth_row(bench: Bench) -> Found:
    found = await bench.unless(
        growth(
            bench.report,
            residents=bench.sizes.growth_residents,
            # Each further casino takes a minute; the module's own command measures more hosts, too.
            hosts=(1,),
            rounds=bench.sizes.growth_rounds,
            seconds=bench.sizes.growth_s,
        )
    )
    points = [
        Point(
            point.residents, f"{point.hosts} host{'s' if point.hosts > 1 else ''}", point.cpu_us_per_command
        )
        for point in found.points
    ]
    figures = []
    for point in found.points:
        of = f"{point.residents:,} sessions, {point.hosts} host{'s' if point.hosts > 1 else ''}"
        figures.append(Figure(f"{of}: CPU time of a command", point.cpu_us_per_command, "µs"))
        figures.append(Figure(f"{of}: commands", point.commands_per_s, "/s"))
    return Found(
        {GROWTH: Spread(found.ratio)},
        figures,
        curves=[Curve("CPU time of a command", "sessions in memory", "µs", points)],
    )
