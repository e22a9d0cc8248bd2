"""Runs bots against a casino, in this process or in several, and reports what they saw.

Owns the order of a run: everybody signs up and connects, then all play at once, then all stop.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from time import monotonic
from typing import NamedTuple, Protocol

import msgspec

from benchmarks.command_log import log_paths
from benchmarks.crowd import Crowd, SignUpFailed
from benchmarks.measurements import Second
from benchmarks.options import BotOptions
from benchmarks.report import BotReport, CrowdResult, merge

_ANSWER_BYTES_MAX = 256 * 1024 * 1024
"""The result of a process carries every stall and every bot's longest one."""


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


class Status(msgspec.Struct):
    """One process's second."""

    second: Second
    errors: int
    reconnects: int
    acknowledged: int


class _Troupe(Protocol):
    """A crowd, wherever it runs."""

    async def gather(self) -> None: ...
    async def play(self) -> None: ...
    async def status(self) -> Status: ...
    async def stop(self) -> CrowdResult: ...


class BotProcessFailed(Exception):
    """A bot process died or did not answer as agreed."""


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
    interrupted = interrupt or asyncio.Event()
    async with contextlib.AsyncExitStack() as stack:
        troupes: list[_Troupe] = []
        for share in shares:
            opened = _in_this_process(share) if len(shares) == 1 else _in_own_process(share)
            troupes.append(await stack.enter_async_context(opened))
        show = on_progress or (lambda progress: None)
        show(Progress("signing up", 0, 0, 0, 0, 0, 0, 0, 0))
        await asyncio.gather(*(troupe.gather() for troupe in troupes))
        await asyncio.gather(*(troupe.play() for troupe in troupes))
        began = monotonic()
        while (left := began + duration_s - monotonic()) > 0 and not interrupted.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(interrupted.wait(), min(1.0, left))
            show(_progress(monotonic() - began, await asyncio.gather(*(t.status() for t in troupes))))
        results = await asyncio.gather(*(troupe.stop() for troupe in troupes))
    return merge(url, players, depth, results)


def share_out(options: BotOptions, processes: int) -> list[BotOptions]:
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


def status_of(crowd: Crowd) -> Status:
    """What a crowd's last second was like."""
    found = crowd.measurements
    return Status(crowd.roll(), sum(found.errors.values()), found.reconnects, found.acknowledged)


class _LocalTroupe:
    """A crowd on this event loop."""

    def __init__(self, crowd: Crowd) -> None:
        self._crowd = crowd

    async def gather(self) -> None:
        await self._crowd.gather()

    async def play(self) -> None:
        self._crowd.play()

    async def status(self) -> Status:
        return status_of(self._crowd)

    async def stop(self) -> CrowdResult:
        await self._crowd.stop()
        return self._crowd.result()


class _RemoteTroupe:
    """A crowd in a child process, told what to do line by line; see ``bot_process``."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def ask(self, order: bytes) -> bytes:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(order + b"\n")
            await self._process.stdin.drain()
            answer = await self._process.stdout.readline()
        except (OSError, ValueError) as error:
            raise BotProcessFailed(repr(error)) from error
        if not answer:
            raise BotProcessFailed(f"a bot process ended with {await self._process.wait()}")
        return answer

    async def gather(self) -> None:
        answer = msgspec.json.decode(await self.ask(b"gather"), type=str)
        if answer:
            raise SignUpFailed(answer)

    async def play(self) -> None:
        await self.ask(b"play")

    async def status(self) -> Status:
        return msgspec.json.decode(await self.ask(b"status"), type=Status)

    async def stop(self) -> CrowdResult:
        return msgspec.json.decode(await self.ask(b"stop"), type=CrowdResult)


@asynccontextmanager
async def _in_this_process(options: BotOptions) -> AsyncIterator[_Troupe]:
    async with Crowd(options) as crowd:
        yield _LocalTroupe(crowd)


@asynccontextmanager
async def _in_own_process(options: BotOptions) -> AsyncIterator[_Troupe]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "benchmarks.bot_process",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=_ANSWER_BYTES_MAX,
        # Ctrl-C is for this process alone, so that the bots can finish and report.
        start_new_session=True,
    )
    troupe = _RemoteTroupe(process)
    try:
        await troupe.ask(msgspec.json.encode(options))
        yield troupe
    finally:
        if process.stdin is not None:
            process.stdin.close()
        try:
            await asyncio.wait_for(process.wait(), 5.0)
        except TimeoutError:
            process.kill()
            await process.wait()
