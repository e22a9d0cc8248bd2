from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from benchmarks.compare.pairing import Spread
from benchmarks.compare.result import Aim, Comparison, Figure, Found, Row
from benchmarks.compare.row import QUICK, Bench, Spec
from benchmarks.compare.run import Progress, compare
from benchmarks.load.target import TargetError
from tests.unit.benchmarks.compare.test_servers import Log

AIM = Aim("spins", "≥", 6.0, "×")


def a_spec(name: str, measure: Callable[[Bench], Awaitable[Found]], servers: tuple[str, ...] = ()) -> Spec:
    return Spec(name, f"the {name}", "measured", "against", (AIM,), measure, lambda sizes: 60.0, servers)


def gives(value: float, *servers: str) -> Callable[[Bench], Awaitable[Found]]:
    async def measure(bench: Bench) -> Found:
        for name in servers:
            await bench.servers.get(name)
        bench.report(f"measuring {value}")
        return Found({AIM.name: Spread(value)}, [Figure("a figure", value, "×")], versions={"Postgres": "18"})

    return measure


def fails(error: Exception) -> Callable[[Bench], Awaitable[Found]]:
    async def measure(bench: Bench) -> Found:
        await bench.servers.get("a")
        raise error

    return measure


async def compared(log: Log, *specs: Spec, interrupt: asyncio.Event | None = None) -> Comparison:
    return await compare(
        specs,
        QUICK,
        log.servers(),
        command="casino bench compare",
        quick=True,
        summaries=lambda names: dict.fromkeys(sorted(names), "a server"),
        show=SHOWN.append,
        done=DONE.append,
        interrupt=interrupt or asyncio.Event(),
    )


SHOWN: list[Progress] = []
DONE: list[Row] = []


async def test_rows_that_need_the_same_servers_share_them() -> None:
    log = Log()
    found = await compared(
        log,
        a_spec("one", gives(7.0, "a", "b"), ("a", "b")),
        a_spec("two", gives(8.0, "a"), ("a",)),
        a_spec("three", gives(9.0)),
    )
    assert log.said == ["start a", "start b", "end b", "end a"]
    assert found.ok
    assert [row.checks[0].value for row in found.rows] == [7.0, 8.0, 9.0]
    assert found.servers == {"a": "a server", "b": "a server"}
    assert found.machine.versions["Postgres"] == "18"
    assert found.machine.versions["Python"]
    assert DONE[-3:] == found.rows
    said = SHOWN[-1]
    assert (said.number, said.rows, said.said) == (3, 3, "measuring 9.0")
    assert 50 < said.left_s <= 60


async def test_a_row_that_fails_says_why_and_the_others_go_on() -> None:
    log = Log()
    found = await compared(
        log,
        a_spec("one", fails(TargetError("no room")), ("a",)),
        a_spec("two", fails(KeyError("spins")), ("a",)),
        a_spec("three", gives(5.0, "a"), ("a",)),
    )
    assert [row.failed for row in found.rows] == ["no room", "KeyError: 'spins'", None]
    assert [row.checks[0].verdict for row in found.rows] == ["not measured", "not measured", "missed"]
    assert log.said == ["start a", "end a"] * 3, "a server may be why it failed"
    assert not found.ok
    assert not found.is_empty


async def test_nothing_could_be_measured() -> None:
    assert (await compared(Log(), a_spec("one", fails(ValueError("no")), ("a",)))).is_empty


async def test_whoever_has_had_enough_keeps_what_was_measured() -> None:
    interrupt = asyncio.Event()

    async def long(bench: Bench) -> Found:
        interrupt.set()
        await bench.unless(asyncio.sleep(60))
        return Found({})

    log = Log()
    found = await compared(
        log,
        a_spec("one", gives(7.0, "a"), ("a",)),
        a_spec("two", long, ("a",)),
        a_spec("three", gives(9.0)),
        interrupt=interrupt,
    )
    assert found.interrupted
    assert not found.ok
    assert [row.is_measured for row in found.rows] == [True, False, False]
    assert "before it was measured" in (found.rows[1].failed or "")
    assert "before it was its turn" in (found.rows[2].failed or "")
    assert log.said == ["start a", "end a"]
