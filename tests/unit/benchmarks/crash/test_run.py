"""Whole runs at a table that keeps its rules, and at tables that break one. No times are asserted."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from benchmarks.command_log import Acknowledged, log_paths, read_log
from benchmarks.crash.report import CrashReport
from benchmarks.crash.run import Line, run_crash, run_watchers
from benchmarks.crash.watchers import WatcherCrowd
from benchmarks.options import CrashOptions, WatchOptions
from tests.unit.benchmarks.fake_casino import FakeCasino, Faults
from tests.unit.benchmarks.fake_table import FakeTable

PLAYERS = 22
"""Each strategy twice."""


@pytest.fixture(autouse=True)
def short_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.troupe.SECOND_S", 0.2)


class Curtain:
    """Opens the table when the bots have begun to play."""

    def __init__(self, casino: FakeCasino) -> None:
        self.casino = casino
        self.lines: list[str] = []
        self._opened = False

    def show(self, line: Line) -> None:
        self.lines.append(line.text)
        if len(self.lines) > 1 and not self._opened:
            self._opened = True
            self.casino.open_table()


async def play(
    table: FakeTable, faults: Faults | None = None, processes: int = 1, **options: Any
) -> tuple[CrashReport, FakeCasino]:
    settings: dict[str, Any] = {
        "players": PLAYERS, "rounds": 3, "answer_timeout_s": 0.1, "drain_s": 1.5, "silence_s": 3.0, "seed": 1
    }  # fmt: skip
    async with FakeCasino(faults, table=table) as casino:
        curtain = Curtain(casino)
        crash_options = CrashOptions(url=casino.url, **(settings | options))
        report = await run_crash(crash_options, None, processes=processes, show=curtain.show)
    assert curtain.lines[0].startswith("signing up")
    assert "rounds" in curtain.lines[-1]
    return report, casino


async def test_a_faultless_run(tmp_path: Path) -> None:
    log = tmp_path / "log"
    report, casino = await play(FakeTable(), log=str(log))
    assert report.ok, (report.failures, report.examples)
    assert casino.table is not None
    assert report.bets == report.settled == len(casino.table.settlements) > 2 * PLAYERS
    assert report.cash_outs > 0
    assert report.rounds == 3
    assert report.rounds_verified >= 3 * PLAYERS
    assert report.deliveries > report.rounds * PLAYERS * 10
    assert report.ticks_per_s > 10
    assert report.tick_lag.p99_ms < 10_000
    acknowledged = [line for line in read_log([log]) if isinstance(line, Acknowledged)]
    names = [line.name for line in acknowledged]
    assert (names.count("place_crash_bet"), names.count("cash_out_crash")) == (report.bets, report.cash_outs)
    told = {(line.user_id, line.reply["round"]) for line in acknowledged if line.name == "place_crash_bet"}
    assert told == {(user_id, number) for user_id, number, _ in casino.table.settlements}


async def test_they_bet_in_so_many_rounds_and_no_more() -> None:
    report, casino = await play(FakeTable(rounds=5), rounds=2)
    assert report.ok, (report.failures, report.examples)
    assert casino.table is not None
    assert {number for _, number, _ in casino.table.settlements} == {1, 2}


@pytest.mark.parametrize(
    "faults",
    [
        Faults(drop_before=23),
        Faults(drop_after=23),
        Faults(lose_reply=19),
        Faults(overloaded=13),
        Faults(drop_before=31, drop_after=37, lose_reply=29, overloaded=23),
    ],
    ids=["drop_before", "drop_after", "lose_reply", "overloaded", "everything"],
)
async def test_faults_that_are_survived(faults: Faults) -> None:
    report, _ = await play(FakeTable(betting_s=0.5), faults)
    assert report.ok, (report.failures, report.examples)
    assert report.resent > 0
    assert report.bets == report.settled


async def test_deliberate_losses_are_resumed() -> None:
    report, casino = await play(FakeTable(), resume_every_s=0.3)
    assert report.ok, (report.failures, report.examples)
    assert casino.table is not None
    assert report.resumes_asked_for > 5
    assert casino.table.subscriptions >= PLAYERS + report.resumes_asked_for


async def test_what_a_snapshot_hid_is_asked_for() -> None:
    table = FakeTable()
    async with FakeCasino(table=table) as casino:
        casino.forget_events = True
        curtain = Curtain(casino)
        options = CrashOptions(
            url=casino.url, players=PLAYERS, rounds=3, resume_every_s=0.15, drain_s=1.5, seed=1
        )
        report = await run_crash(options, None, show=curtain.show)
    assert report.ok, (report.failures, report.examples)
    assert casino.seen["get_crash_bets"] > 0
    assert report.bets == report.settled


@pytest.mark.parametrize(
    ("fault", "violation"),
    [
        ("settled_twice", "settled twice"),
        ("never_settled", "never settled"),
        ("wrong_payout", "wrong payout"),
        ("wrong_gold", "gold does not follow"),
        ("lost_below", "lost below the crash point"),
        ("wrong_crash_point", "round does not verify"),
        ("broken_link", "chain broken"),
        ("tick_above", "contradicted by its end"),
    ],
)
async def test_a_house_that_cheats(fault: str, violation: str) -> None:
    report, _ = await play(FakeTable(faults=frozenset({fault})), rounds=2, drain_s=0.3, silence_s=1.0)
    assert not report.ok
    assert violation in report.violations, report.violations
    assert any(example.startswith(violation) for example in report.examples) or len(report.examples) == 20


async def test_a_table_that_falls_silent_ends_the_run() -> None:
    report, _ = await play(FakeTable(rounds=1), rounds=2, silence_s=1.0)
    assert report.errors == {"table_silent": 1}


async def test_a_table_nobody_knows() -> None:
    async with FakeCasino() as casino:
        options = CrashOptions(url=casino.url, players=2, drain_s=0.1)
        report = await run_crash(options, 0.5)
    assert report.errors == {"fairness_unknown": 1, "subscribe:unknown_topic": 2}


async def test_several_processes(tmp_path: Path) -> None:
    log = tmp_path / "log"
    report, casino = await play(FakeTable(betting_s=0.4), processes=2, log=str(log))
    assert report.ok, (report.failures, report.examples)
    assert (report.processes, report.players, len(casino.players)) == (2, PLAYERS, PLAYERS)
    names = [line.name for line in read_log(log_paths(log, 2)) if isinstance(line, Acknowledged)]
    assert names.count("place_crash_bet") == report.bets


async def test_a_run_has_an_end() -> None:
    with pytest.raises(ValueError, match="how long"):
        await run_crash(CrashOptions(url="http://h", players=1), None)


@pytest.mark.parametrize("processes", [1, 2])
async def test_watchers(processes: int) -> None:
    async with FakeCasino(table=FakeTable(rounds=8)) as casino:
        curtain = Curtain(casino)
        options = WatchOptions(url=casino.url, players=25, connections_per_guest=10)
        report = await run_watchers(options, 1.5, processes=processes, show=curtain.show)
    assert report.ok, report.failures
    assert len(casino.players) == (3 if processes == 1 else 4)
    assert report.listening == 25
    assert report.ticks_complete > 0.9
    assert report.deliveries >= report.deliveries_per_s_max > 0
    assert "25 listening" in curtain.lines[-1]


async def test_watchers_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(WatcherCrowd, "patrol_s", 0.05)
    async with FakeCasino(table=FakeTable(rounds=8)) as casino:
        curtain = Curtain(casino)
        options = WatchOptions(url=casino.url, players=5, resume_every_s=0.5)
        report = await run_watchers(options, 1.5, show=curtain.show)
        assert report.reconnects > 0
        assert report.ok or report.listening < 5, report.failures


async def test_watchers_of_nothing() -> None:
    async with FakeCasino(table=FakeTable()) as casino:
        stop = asyncio.Event()
        stop.set()
        report = await run_watchers(WatchOptions(url=casino.url, players=2), 5.0, interrupt=stop)
    assert not report.ok
    assert report.failures[-1] == "no tick was heard"
