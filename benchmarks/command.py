"""The command line of the bots: ``casino bots``, mounted by ``deploy.cli``."""

from __future__ import annotations

import asyncio
import re
import signal
from collections.abc import Callable, Coroutine
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec
import typer
import uvloop
from rich.console import Console

from benchmarks.bots import run_bots
from benchmarks.crash.presentation import print_crash_report, print_watch_report
from benchmarks.crash.report import CrashReport
from benchmarks.crash.run import Line, run_crash, run_watchers
from benchmarks.crash.watch_report import WatchReport
from benchmarks.crowd import SignUpFailed
from benchmarks.descriptors import TooFewDescriptors, allow_sockets
from benchmarks.options import CrashOptions, WatchOptions
from benchmarks.presentation import LiveLine, LiveProgress, print_report
from benchmarks.report import BotReport
from benchmarks.troupe import BotProcessFailed

ReportT = TypeVar("ReportT")

_DURATION_S = 60.0
_UNIT_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "": 1.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|)")


def parse_duration(text: str) -> float:
    """Seconds in ``500ms``, ``60s``, ``2m``, ``1h`` or plain ``60``.

    Raises:
        typer.BadParameter: not such a text, or zero.
    """
    match = _DURATION.fullmatch(text.strip())
    seconds = float(match[1]) * _UNIT_S[match[2]] if match else 0.0
    if seconds <= 0:
        raise typer.BadParameter(f"{text!r} is not a duration such as 60s, 2m or 500ms")
    return seconds


def _duration(text: str) -> float:
    return parse_duration(text)


class Game(StrEnum):
    """What the bots play."""

    slots = "slots"
    crash = "crash"


def bots(
    game: Annotated[Game, typer.Option(help="What they play.")] = Game.slots,
    players: Annotated[int, typer.Option(help="Guests that play at the same time.", min=1)] = 200,
    duration: Annotated[
        float | None,
        typer.Option(
            help="How long they play: 60s, 2m, 1h. Default: 60s, or as long as --rounds take.",
            parser=_duration,
            metavar="TIME",
        ),
    ] = None,
    rounds: Annotated[int | None, typer.Option(help="Crash: rounds to bet in.", min=1)] = None,
    table: Annotated[str, typer.Option(help="Crash: the table to play at.")] = "main",
    watchers: Annotated[
        int | None,
        typer.Option(help="Crash: instead of players, connections that only listen.", min=1),
    ] = None,
    url: Annotated[str, typer.Option(help="Address of the casino.")] = "http://127.0.0.1:8000",
    depth: Annotated[
        int, typer.Option(help="Slots: commands each player keeps in flight.", min=1, max=64)
    ] = 1,
    processes: Annotated[int, typer.Option(help="Bot processes to divide the players among.", min=1)] = 1,
    stake: Annotated[int, typer.Option(help="Slots: gold per spin.", min=1)] = 1,
    machine: Annotated[
        str | None, typer.Option(help="Slot machine; the server's default if left out.")
    ] = None,
    think: Annotated[
        float | None,
        typer.Option(
            help="Slots: pause between an answer and the next command.", parser=_duration, metavar="TIME"
        ),
    ] = None,
    resume_every: Annotated[
        float | None,
        typer.Option(
            help="Each player loses its connection about this often, and resumes.",
            parser=_duration,
            metavar="TIME",
        ),
    ] = None,
    sign_up_parallel: Annotated[int, typer.Option(help="Guests signing up at the same time.", min=1)] = 16,
    sign_ups_per_s: Annotated[
        float | None, typer.Option(help="Stay below a limit on sign-ups per address. Default: no limit.")
    ] = None,
    sign_up_timeout: Annotated[
        float,
        typer.Option(
            help="Give up when not all players are connected by then.", parser=_duration, metavar="TIME"
        ),
    ] = "2m",  # type: ignore[assignment]
    answer_timeout: Annotated[
        float,
        typer.Option(
            help="Send a command again, under its id, when it is unanswered for this long.",
            parser=_duration,
            metavar="TIME",
        ),
    ] = "10s",  # type: ignore[assignment]
    seed: Annotated[int | None, typer.Option(help="Makes the players' choices reproducible.")] = None,
    log: Annotated[
        Path | None,
        typer.Option(
            help="Write every acknowledged command to this JSON-lines file (FILE.0, FILE.1 … with "
            "several processes), to be compared with the server's journal.",
            dir_okay=False,
            writable=True,
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the report as one JSON object.")] = False,
) -> None:
    """Let bots play the casino over its own protocol, and report what they saw.

    Each bot signs up as a guest, connects, claims its streak, then spins
    as fast as it is answered, now and then changing its seeds, reading its
    profile or giving a gift. It survives server restarts: it reconnects,
    resumes its events and repeats unanswered commands under their own ids.
    Latency counts from the first time a command was sent, outages included.

    With --game crash, bots bet at a table by several strategies, keep
    their own books, and verify every round: a bet settled twice or wrongly,
    gold that does not follow, or a round that does not verify is a
    violation. --watchers measures the broadcast alone.

    Ctrl-C ends the run early and still reports. The exit code is 1 when
    there was an error or a violation, an event was missing or a command
    stayed unanswered, and 2 when the bots could not begin.
    """
    # Progress goes to stderr, so that stdout holds nothing but the report.
    errors = Console(stderr=True)

    async def run_slots(interrupt: asyncio.Event) -> BotReport:
        with LiveProgress(errors, players, duration or _DURATION_S) as progress:
            return await run_bots(
                url,
                players,
                duration or _DURATION_S,
                depth,
                processes=processes,
                stake=stake,
                machine=machine,
                think_s=think or 0.0,
                resume_every_s=resume_every,
                sign_up_parallel=sign_up_parallel,
                sign_ups_per_s=sign_ups_per_s,
                sign_up_timeout_s=sign_up_timeout,
                answer_timeout_s=answer_timeout,
                seed=seed,
                log=log,
                on_progress=progress.show,
                interrupt=interrupt,
            )

    async def run_at_table(interrupt: asyncio.Event) -> CrashReport | WatchReport:
        shared: dict[str, Any] = {
            "url": url,
            "players": watchers or players,
            "table": table,
            "resume_every_s": resume_every,
            "sign_up_parallel": sign_up_parallel,
            "sign_ups_per_s": sign_ups_per_s,
            "sign_up_timeout_s": sign_up_timeout,
            "answer_timeout_s": answer_timeout,
            "seed": seed,
        }
        with LiveLine(errors) as live:

            def show(line: Line) -> None:
                live.show_line(line.elapsed_s, line.text)

            if watchers is not None:
                return await run_watchers(
                    WatchOptions(**shared),
                    duration or _DURATION_S,
                    processes=processes,
                    show=show,
                    interrupt=interrupt,
                )
            return await run_crash(
                CrashOptions(**shared, rounds=rounds, log=str(log) if log is not None else None),
                duration if duration is not None or rounds is not None else _DURATION_S,
                processes=processes,
                show=show,
                interrupt=interrupt,
            )

    try:
        if game is Game.slots and (rounds is not None or watchers is not None):
            raise ValueError("--rounds and --watchers are for --game crash")
        allow_sockets((watchers or players) // processes + processes)
        report = uvloop.run(_interruptible(run_slots if game is Game.slots else run_at_table))
    except (SignUpFailed, BotProcessFailed, TooFewDescriptors, ValueError) as error:
        errors.print(f"bots: {error}", style="red", markup=False)
        raise typer.Exit(2) from None
    if json:
        typer.echo(msgspec.json.encode(report).decode())
    else:
        _print(Console(), report)
    if not report.ok:
        raise typer.Exit(1)


async def _interruptible(run: Callable[[asyncio.Event], Coroutine[Any, Any, ReportT]]) -> ReportT:
    interrupt = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signal_number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(signal_number, interrupt.set)
    return await run(interrupt)


def _print(console: Console, report: BotReport | CrashReport | WatchReport) -> None:
    match report:
        case CrashReport():
            print_crash_report(console, report)
        case WatchReport():
            print_watch_report(console, report)
        case _:
            print_report(console, report)
