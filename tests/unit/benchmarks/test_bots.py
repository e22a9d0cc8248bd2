"""Bots against a casino that breaks its promises on request. Short runs; no times are asserted."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from benchmarks.bots import Progress, run_bots, share_out
from benchmarks.command_log import log_paths
from benchmarks.options import BotOptions
from benchmarks.reconcile_log import check_log
from benchmarks.report import BotReport
from tests.unit.benchmarks.fake_casino import FakeCasino, Faults


async def play(faults: Faults, tmp_path: Path, **options: object) -> tuple[BotReport, FakeCasino, Path]:
    log = tmp_path / "bots.jsonl"
    settings: dict[str, object] = {"players": 8, "duration_s": 0.6, "answer_timeout_s": 0.1, "log": log}
    async with FakeCasino(faults) as casino:
        report = await run_bots(casino.url, **(settings | options))  # type: ignore[arg-type]
    return report, casino, log


async def test_a_faultless_run(tmp_path: Path) -> None:
    report, casino, log = await play(Faults(), tmp_path, depth=3)
    assert report.ok, report.failures
    assert report.players == 8
    assert report.acknowledged == len(casino.journal) + casino.seen["get_profile"] > 100
    assert report.events > 2 * report.commands
    assert report.snapshots == 8
    assert casino.seen["claim_streak"] == 8
    check = check_log(log, casino.journal, final_gold={p.user_id: p.gold for p in casino.players.values()})
    assert check.ok, check.summary() + str(check.examples)


@pytest.mark.parametrize(
    "faults",
    [
        Faults(drop_before=50),
        Faults(drop_after=50),
        Faults(lose_reply=70),
        Faults(overloaded=30),
        Faults(drop_before=41, drop_after=53, lose_reply=97, overloaded=37),
    ],
    ids=["drop_before", "drop_after", "lose_reply", "overloaded", "everything"],
)
async def test_faults_that_are_survived(faults: Faults, tmp_path: Path) -> None:
    report, casino, log = await play(faults, tmp_path, depth=2, duration_s=1.0)
    assert report.ok, report.failures
    assert report.resent > 0
    assert report.event_gaps == 0
    check = check_log(log, casino.journal, final_gold={p.user_id: p.gold for p in casino.players.values()})
    assert check.ok, check.summary() + str(check.examples)


async def test_deliberate_losses_are_resumed(tmp_path: Path) -> None:
    report, casino, log = await play(Faults(), tmp_path, resume_every_s=0.2, duration_s=1.2)
    assert report.ok, report.failures
    assert report.resumes_asked_for > 8
    assert report.reconnects == report.resumes_asked_for
    assert report.snapshots == 8, "every resume was served with the missed events"
    assert check_log(log, casino.journal).ok


async def test_a_missing_event_fails_the_run(tmp_path: Path) -> None:
    report, _, _ = await play(Faults(skip_event=40), tmp_path)
    assert not report.ok
    assert report.event_gaps > 0


async def test_an_error_fails_the_run(tmp_path: Path) -> None:
    report, _, _ = await play(Faults(internal=40), tmp_path)
    assert not report.ok
    assert report.errors.keys() == {"internal"}


async def test_a_command_applied_twice_is_found_by_its_log(tmp_path: Path) -> None:
    _, casino, log = await play(Faults(apply_twice=100), tmp_path)
    check = check_log(log, casino.journal)
    assert "applied twice" in check.problems


async def test_an_acknowledgement_lost_from_the_journal_is_found(tmp_path: Path) -> None:
    _, casino, log = await play(Faults(), tmp_path)
    del casino.journal[50]
    assert "acknowledged but lost" in check_log(log, casino.journal).problems


async def test_a_restart_of_the_server_is_survived_and_timed(tmp_path: Path) -> None:
    casino = FakeCasino()
    url = await casino.start()
    running = asyncio.create_task(run_bots(url, players=5, duration_s=2.0, log=tmp_path / "log"))
    await asyncio.sleep(0.7)
    await casino.stop()
    await asyncio.sleep(0.3)
    await casino.start(int(url.rsplit(":", 1)[1]))
    report = await running
    await casino.stop()
    assert report.ok, report.failures
    assert report.reconnects >= 5
    assert report.recovery_s >= 0.25
    assert report.bot_stall_max_s >= report.recovery_s
    assert check_log(tmp_path / "log", casino.journal).ok


async def test_several_processes(tmp_path: Path) -> None:
    report, casino, log = await play(Faults(drop_after=200), tmp_path, processes=2, players=5)
    assert report.ok, report.failures
    assert (report.processes, report.players, len(casino.players)) == (2, 5, 5)
    check = check_log(log_paths(log, 2), casino.journal)
    assert check.ok, check.summary()
    assert check.matched == len(casino.journal)


async def test_the_broke_are_replaced_by_new_guests(tmp_path: Path) -> None:
    report, casino, _ = await play(Faults(), tmp_path, stake=1000)
    assert report.ok, report.failures
    assert report.players_broke > 0
    assert casino.sign_ups > 8


async def test_progress_and_interruption() -> None:
    seen: list[Progress] = []
    stop = asyncio.Event()

    def show(progress: Progress) -> None:
        seen.append(progress)
        if progress.phase == "playing":
            stop.set()

    async with FakeCasino() as casino:
        report = await run_bots(casino.url, 3, 60.0, on_progress=show, interrupt=stop)
    assert report.ok, report.failures
    assert report.duration_s < 30
    assert [progress.phase for progress in seen] == ["signing up", "playing"]
    assert seen[1].acknowledged > 0


def test_shares_add_up() -> None:
    options = BotOptions(url="http://h", players=7, sign_ups_per_s=30.0, seed=1, log="d/log")
    shares = share_out(options, 3)
    assert [share.players for share in shares] == [3, 2, 2]
    assert [share.seed for share in shares] == [1, 2, 3]
    assert [share.log for share in shares] == ["d/log.0", "d/log.1", "d/log.2"]
    assert shares[0].sign_ups_per_s == 10.0
    with pytest.raises(ValueError, match="processes"):
        share_out(options, 8)
