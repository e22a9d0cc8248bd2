"""The command line of the bots: ``casino bots``, mounted by ``deploy.cli``."""

from __future__ import annotations

import asyncio
import re
import signal
from pathlib import Path
from typing import Annotated

import msgspec
import typer
import uvloop
from rich.console import Console

from benchmarks.bots import BotProcessFailed, run_bots
from benchmarks.crowd import SignUpFailed
from benchmarks.presentation import LiveProgress, print_report
from benchmarks.report import BotReport

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


def bots(
    players: Annotated[int, typer.Option(help="Guests that play at the same time.", min=1)] = 200,
    duration: Annotated[
        float, typer.Option(help="How long they play: 60s, 2m, 1h.", parser=_duration, metavar="TIME")
    ] = "60s",  # type: ignore[assignment]
    url: Annotated[str, typer.Option(help="Address of the casino.")] = "http://127.0.0.1:8000",
    depth: Annotated[int, typer.Option(help="Commands each player keeps in flight.", min=1, max=64)] = 1,
    processes: Annotated[int, typer.Option(help="Bot processes to divide the players among.", min=1)] = 1,
    stake: Annotated[int, typer.Option(help="Gold per spin.", min=1)] = 1,
    machine: Annotated[
        str | None, typer.Option(help="Slot machine; the server's default if left out.")
    ] = None,
    think: Annotated[
        float | None,
        typer.Option(help="Pause between an answer and the next command.", parser=_duration, metavar="TIME"),
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

    Ctrl-C ends the run early and still reports. The exit code is 1 when
    there was an error, an event was missing or a command stayed unanswered,
    and 2 when the bots could not begin.
    """
    # Progress goes to stderr, so that stdout holds nothing but the report.
    errors = Console(stderr=True)
    try:
        with LiveProgress(errors, players, duration) as progress:

            async def run() -> BotReport:
                interrupt = asyncio.Event()
                loop = asyncio.get_running_loop()
                for signal_number in (signal.SIGINT, signal.SIGTERM):
                    loop.add_signal_handler(signal_number, interrupt.set)
                return await run_bots(
                    url,
                    players,
                    duration,
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

            report = uvloop.run(run())
    except (SignUpFailed, BotProcessFailed, ValueError) as error:
        errors.print(f"bots: {error}", style="red", markup=False)
        raise typer.Exit(2) from None
    if json:
        typer.echo(msgspec.json.encode(report).decode())
    else:
        print_report(Console(), report)
    if not report.ok:
        raise typer.Exit(1)
