"""Runs bots against a casino, in this process or in several, and reports what they saw.

Owns what a run of slots is: its options, how they are divided, its progress and its report.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import NamedTuple, TypeVar

import msgspec

from benchmarks.command_log import log_paths
from benchmarks.crowd import Crowd
from benchmarks.measurements import Status
from benchmarks.options import BotOptions
from benchmarks.report import BotReport, CrowdResult, merge
from benchmarks.troupe import open_troupes, perform

OptionsT = TypeVar("OptionsT", bound=BotOptions)


class Progress(NamedTuple):
    """How the run is going, about once a second. Percentiles are of the slowest process."""

    phase: str
    elapsed_s: float
    commands_per_s: float
    events_per_s: float
    p50_ms: float
    p99_ms: float
    errors: int
    reconnects: int
    acknowledged: int


async def run_bots(
    url: str,
    players: int,
    duration_s: float,
    depth: int = 1,
    *,
    processes: int = 1,
    stake: int = 1,
    machine: str | None = None,
    think_s: float = 0.0,
    resume_every_s: float | None = None,
    sign_up_parallel: int = 16,
    sign_ups_per_s: float | None = None,
    sign_up_timeout_s: float = 120.0,
    answer_timeout_s: float = 10.0,
    drain_s: float = 15.0,
    seed: int | None = None,
    log: Path | str | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    interrupt: asyncio.Event | None = None,
) -> BotReport:
    """Have ``players`` guests play for ``duration_s`` seconds. See ``BotOptions`` for the options.

    ``interrupt`` ends the run early, with a report. With several processes, ``log`` gets the
    suffixes of ``command_log.log_paths``.

    Raises:
        SignUpFailed: not all players could be signed up and connected.
        ValueError: an option makes no sense.
    """
    if duration_s <= 0:
        raise ValueError("duration_s must be positive")
    options = BotOptions(
        url=url,
        players=players,
        depth=depth,
        stake=stake,
        machine=machine,
        think_s=think_s,
        resume_every_s=resume_every_s,
        sign_up_parallel=sign_up_parallel,
        sign_ups_per_s=sign_ups_per_s,
        sign_up_timeout_s=sign_up_timeout_s,
        answer_timeout_s=answer_timeout_s,
        drain_s=drain_s,
        seed=seed,
        log=str(log) if log is not None else None,
    )
    options.check()
    shares = share_out(options, processes)
    show = on_progress or (lambda progress: None)

    def on_second(elapsed_s: float, statuses: Sequence[Status]) -> bool:
        show(_progress(elapsed_s, statuses))
        return True

    async with AsyncExitStack() as stack:
        results = await perform(
            await open_troupes(stack, shares, Crowd, Status, CrowdResult),
            duration_s,
            interrupt or asyncio.Event(),
            lambda: show(Progress("signing up", 0, 0, 0, 0, 0, 0, 0, 0)),
            on_second,
        )
    return merge(url, players, depth, results)


def share_out(options: OptionsT, processes: int) -> list[OptionsT]:
    """The options of each process: players and sign-up rate divided, one log file and seed each.

    Raises:
        ValueError: fewer players than processes.
    """
    if not 1 <= processes <= options.players:
        raise ValueError("processes must be between 1 and the number of players")
    paths = log_paths(Path(options.log), processes) if options.log is not None else []
    shares = []
    for number in range(processes):
        players = options.players // processes + (number < options.players % processes)
        rate = options.sign_ups_per_s
        shares.append(
            msgspec.structs.replace(
                options,
                players=players,
                sign_up_parallel=max(1, options.sign_up_parallel // processes),
                sign_ups_per_s=rate / processes if rate is not None else None,
                seed=options.seed + number if options.seed is not None else None,
                log=str(paths[number]) if paths else None,
            )
        )
    return shares


def _progress(elapsed_s: float, statuses: Sequence[Status]) -> Progress:
    return Progress(
        "playing",
        elapsed_s,
        sum(status.second.commands for status in statuses),
        sum(status.second.events for status in statuses),
        max(status.second.p50_ms for status in statuses),
        max(status.second.p99_ms for status in statuses),
        sum(status.errors for status in statuses),
        sum(status.reconnects for status in statuses),
        sum(status.acknowledged for status in statuses),
    )
