"""The command line of the harness: ``casino bench``, mounted by ``deploy.cli``.

A scenario is a subcommand, so that an unknown one is a fault like any other, and its help its own.
"""

# Annotations are evaluated where they stand: those of a scenario's command tell its own defaults.

import asyncio
import signal
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
import uvloop
from rich.console import Console

from benchmarks.compare.command import comparison
from benchmarks.crowd import SignUpFailed
from benchmarks.descriptors import TooFewDescriptors, allow_sockets
from benchmarks.load.machine import command_line
from benchmarks.load.plan import Plan, Wishes, plan_of
from benchmarks.load.progress import LiveMoment, print_result
from benchmarks.load.result import check_threshold, hgrm
from benchmarks.load.run import Outcome, run
from benchmarks.load.schedule import parse_duration, parse_rate
from benchmarks.load.target import Target, TargetError, own_casino, reach
from benchmarks.load.thresholds import Threshold, parse_threshold
from benchmarks.page.document import document
from benchmarks.scenarios.catalogue import SCENARIOS
from benchmarks.scenarios.scenario import Scenario
from benchmarks.troupe import BotProcessFailed

CROSSED = 99
"""Exit code when a threshold was crossed, as k6's."""
FAULT = 2
"""Exit code when nothing could be measured; what to do is on standard error."""

bench = typer.Typer(
    help="Measure a server under load, over the protocol that players speak.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
)

_LOAD, _OUTPUT = "Load", "Outcome"


def _command(scenario: Scenario) -> Callable[..., None]:
    def measure(
        url: Annotated[
            str | None,
            typer.Option(
                help="The server. Left out: a casino is started for this run, and ended.",
                rich_help_panel=_LOAD,
            ),
        ] = None,
        rate: Annotated[
            str | None,
            typer.Option(help=f"{scenario.arrival} that arrive: 2000/s, 600/m.", rich_help_panel=_LOAD),
        ] = None,
        stages: Annotated[
            str | None,
            typer.Option(
                "--stages",
                "--ramp",
                help="Instead: '30s:500,1m:2000', in 30 s up to 500/s, in another minute to 2000/s.",
                rich_help_panel=_LOAD,
            ),
        ] = None,
        closed: Annotated[
            int | None,
            typer.Option(
                help="Instead: a closed loop, so many connections with one command in flight each.",
                rich_help_panel=_LOAD,
            ),
        ] = None,
        connections: Annotated[
            int | None,
            typer.Option(help=f"Players. Default: {scenario.connections}.", rich_help_panel=_LOAD),
        ] = None,
        duration: Annotated[
            str | None,
            typer.Option(
                help=f"Measured time: 30s, 2m. Default: {scenario.duration_s:g}s.", rich_help_panel=_LOAD
            ),
        ] = None,
        warm_up: Annotated[
            str | None,
            typer.Option(
                help=f"Before it, not measured; 0 for none. Default: {scenario.warm_up_s:g}s.",
                rich_help_panel=_LOAD,
            ),
        ] = None,
        processes: Annotated[
            int, typer.Option(help="Generator processes that share the load.", rich_help_panel=_LOAD)
        ] = 1,
        poisson: Annotated[
            bool,
            typer.Option(
                "--poisson", help="Random arrivals at the rate, not evenly spaced.", rich_help_panel=_LOAD
            ),
        ] = False,
        seed: Annotated[
            int | None,
            typer.Option(help="Makes random arrivals and choices repeatable.", rich_help_panel=_LOAD),
        ] = None,
        table: Annotated[
            str, typer.Option(help="The Crash table, where one is used.", rich_help_panel=_LOAD)
        ] = "main",
        threshold: Annotated[
            list[str] | None,
            typer.Option(
                help="Exit with 99 unless this holds: 'p(99)<50' (ms), 'rate>1000', 'error_rate<0.001'. "
                f"Repeatable. Default: {', '.join(scenario.thresholds)}.",
                rich_help_panel=_OUTPUT,
            ),
        ] = None,
        out: Annotated[
            Path | None,
            typer.Option(
                help="Write result.json, latency.hgrm and index.html into this directory.",
                file_okay=False,
                rich_help_panel=_OUTPUT,
            ),
        ] = None,
        json: Annotated[
            bool, typer.Option("--json", help="Print the result as one JSON object.", rich_help_panel=_OUTPUT)
        ] = False,
    ) -> None:
        errors = Console(stderr=True)
        try:
            wishes = Wishes(
                rate=None if rate is None else parse_rate(rate),
                stages=stages,
                closed=closed,
                connections=connections,
                duration_s=None if duration is None else parse_duration(duration),
                warm_up_s=None if warm_up is None else _warm_up(warm_up),
                processes=processes,
                poisson=poisson,
                seed=seed,
                table=table,
            )
            plan = plan_of(scenario, wishes)
            bounds = [parse_threshold(text) for text in threshold or scenario.thresholds]
            for bound in bounds:
                check_threshold(bound, scenario)
            allow_sockets(plan.connections // plan.processes + plan.processes)
            if out is not None:
                out.mkdir(parents=True, exist_ok=True)
            outcome = uvloop.run(_measured(scenario, url, plan, bounds, out or Path.cwd(), errors))
            if out is not None:
                write(out, scenario, outcome)
        except (TargetError, SignUpFailed, BotProcessFailed, TooFewDescriptors, ValueError, OSError) as error:
            errors.print(f"bench: {error}", style="red", markup=False, highlight=False, soft_wrap=True)
            raise typer.Exit(FAULT) from None
        if json:
            typer.echo(msgspec.json.encode(outcome.result).decode())
        else:
            print_result(Console(), scenario, outcome.result)
            if out is not None:
                typer.echo(f"the page: {out / 'index.html'}")
        if not outcome.result.ok:
            raise typer.Exit(CROSSED)

    return measure


def write(out: Path, scenario: Scenario, outcome: Outcome) -> None:
    """The three files of a result."""
    (out / "result.json").write_bytes(msgspec.json.format(msgspec.json.encode(outcome.result)) + b"\n")
    (out / "latency.hgrm").write_text(hgrm(outcome.merged.histogram))
    (out / "index.html").write_text(document(scenario, outcome.result))


async def _measured(
    scenario: Scenario, url: str | None, plan: Plan, bounds: list[Threshold], probe: Path, errors: Console
) -> Outcome:
    interrupt = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signal_number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(signal_number, interrupt.set)
    async with AsyncExitStack() as stack:
        with LiveMoment(errors, scenario, plan) as live:
            if url is None:
                live.say("starting a casino for this run …")
                target = await _unless(interrupt, stack.enter_async_context(own_casino()))
            else:
                await reach(url)
                target = Target(url=url, name="casino")
            return await run(
                scenario,
                target,
                plan,
                bounds,
                command=command_line(),
                probe=probe,
                show=live.show,
                interrupt=interrupt,
            )


async def _unless(interrupt: asyncio.Event, starting: Coroutine[Any, Any, Target]) -> Target:
    """Raises ``TargetError`` when somebody has had enough before it has started."""
    start, enough = asyncio.ensure_future(starting), asyncio.ensure_future(interrupt.wait())
    await asyncio.wait({start, enough}, return_when=asyncio.FIRST_COMPLETED)
    enough.cancel()
    if not start.done():
        start.cancel()
        await asyncio.gather(start, return_exceptions=True)
        raise TargetError("interrupted before there was anything to measure")
    return start.result()


def _warm_up(text: str) -> float:
    return 0.0 if text.strip() in ("0", "0s") else parse_duration(text)


for _scenario in SCENARIOS.values():
    bench.command(_scenario.name, help=_scenario.summary[0].upper() + _scenario.summary[1:] + ".")(
        _command(_scenario)
    )
bench.command("compare")(comparison)
