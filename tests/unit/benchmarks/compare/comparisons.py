"""A comparison as a run would give it, for tests of what is made of one."""

from __future__ import annotations

from typing import Any

import msgspec

from benchmarks.compare.pairing import P50, P99, RATE, Pair, Slice, Spread, ratio, turns
from benchmarks.compare.result import (
    Aim,
    Bars,
    Comparison,
    Curve,
    Figure,
    Point,
    Row,
    is_ok,
    judged,
)
from benchmarks.load.machine import Machine

SPINS = Aim("spins per second", "≥", 6.0, "×")
SLOWEST = Aim("slowest spins", "≤", 1 / 6, "×")


def a_slice(server: str, rate: float, p99_ms: float = 10.0, **more: Any) -> Slice:
    return Slice(server, {RATE: rate, P50: p99_ms / 2, P99: p99_ms, "failures": 0.0}, **more)


def some_pairs() -> list[Pair]:
    """Ratios of the rate: 5, 7, 6; of the p99: 1/20, 1/10, 1/25."""
    taken = {"casino": [(5_000, 10), (7_000, 20), (6_000, 8)], "rowlock": [(1_000, 200)] * 3}
    return [
        Pair(
            tuple(a_slice(server, *map(float, taken[server][number])) for server in turn)  # type: ignore[arg-type]
        )
        for number, turn in enumerate(turns("casino", "rowlock", 3))
    ]


def a_row(**more: Any) -> Row:
    pairs = some_pairs()
    row = Row(
        name="spin-500",
        title="Durable spins, 500 players",
        measured="A spin is a spin.",
        against="rowlock: the seed's shape.",
        servers=["casino", "rowlock"],
        checks=[
            judged(SPINS, ratio(pairs, RATE, "casino", "rowlock")),
            judged(SLOWEST, ratio(pairs, P99, "casino", "rowlock")),
        ],
        figures=[Figure("casino, spins", 6_000.0, "/s", 5_000.0, 7_000.0)],
        pairs=pairs,
        seconds=61.5,
    )
    return msgspec.structs.replace(row, **more)


def a_comparison(**more: Any) -> Comparison:
    """Three rows: met, missed, and one that could not be measured."""
    rows = [
        a_row(),
        a_row(
            name="growth",
            title="Whether it gets dearer",
            servers=[],
            pairs=[],
            checks=[judged(Aim("dearer", "≤", 1.2, "×"), Spread(1.5))],
            curves=[
                Curve(
                    "CPU time of a command", "sessions", "µs",
                    [
                        Point(1_000, "1 host", 20.0),
                        Point(100_000, "1 host", 30.0),
                        Point(1_000, "4 hosts", 25.0),
                    ],
                )
            ],
            bars=[Bars("Parts", [Figure("echo", 0.1, "ms"), Figure("commit", 0.2, "ms")])],
            notes=["Something was odd."],
        ),
        a_row(
            name="recovery",
            title="A host is killed",
            servers=[],
            pairs=[],
            figures=[],
            checks=[judged(Aim("until all have answered", "≤", 5.0, "s"), None)],
            failed="the casino did not start",
        ),
    ]  # fmt: skip
    comparison = Comparison(
        ok=is_ok(rows),
        command="casino bench compare --out out",
        began_at="2026-01-02T03:04:05+00:00",
        seconds=754.0,
        quick=False,
        interrupted=False,
        rows=rows,
        servers={"casino": "the casino itself", "rowlock": "a lock for each row"},
        settings={"CASINO_MESSAGES_PER_S": "1000000"},
        machine=Machine(2, "a CPU", "6.1", 2**33, 0.1, 0.1, 0.4, "a directory", {"Python": "3.11"}),
    )
    return msgspec.structs.replace(comparison, **more)
