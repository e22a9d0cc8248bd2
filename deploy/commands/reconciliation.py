"""``casino reconcile``: compares the analytics store with the journal, and publishes what it lacks."""

from __future__ import annotations

import asyncio
import contextlib
import time
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from deploy.analytics import ReconciliationRun
from deploy.commands.options import (
    DataOption,
    JsonOption,
    console,
    errors,
    fail,
    instance_of,
    print_json,
    settings_for,
)
from deploy.instance import NotRunning
from deploy.launcher import prepare_ray_environment
from deploy.settings import Settings
from persistence.reconciliation import DAY_MS

_POLL_S = 0.2
_HOLDERS = ("event-sink", "event-relay")
"""The sink has the store where there is one, otherwise the relay."""


def reconcile(
    check: Annotated[bool, typer.Option("--check", help="Compare only; repair nothing.")] = False,
    days: Annotated[
        int | None, typer.Option(help="Only the latest days; everything ClickHouse keeps if left out.", min=1)
    ] = None,
    data: DataOption = None,
    json: JsonOption = False,
) -> None:
    """Compare ClickHouse with the journal hour by hour, and publish again what is missing.

    Ends with 1 when they differ still. Needs a casino that is up: its own process compares, and play
    goes on.
    """
    settings = settings_for(data)
    try:
        run = asyncio.run(_reconcile(settings, not check, days))
    except (NotRunning, ConnectionError) as error:
        fail(str(error))
    if run.error is not None:
        fail(f"{run.error} What was repaired until then is; try again.")
    report = run.report
    if json:
        print_json({"since_ms": run.since_ms, "until_ms": run.until_ms, **msgspec.to_builtins(report)})
    else:
        table = Table(box=None, show_header=False, pad_edge=False)
        until = datetime.fromtimestamp(max(0, run.until_ms) / 1000, UTC)
        table.add_row(
            "compared", f"{report.hours:,} hours with {report.events:,} events, until {until:%F %T} UTC"
        )
        table.add_row("missing", f"{report.missing:,} in ClickHouse; {report.repaired:,} published again")
        table.add_row("duplicates", f"{report.duplicates:,} rows to merge; {report.removed:,} merged")
        table.add_row("unexpected", f"{report.unexpected:,} that the journal does not have")
        console.print(table, highlight=False)
        for title, turns in (
            ("not in the journal", report.unexpected_turns),
            ("refused", report.refused_turns),
        ):
            for turn in turns:
                console.print(f"  {title}: {turn}", highlight=False)
    is_whole = report.missing == report.repaired and not report.unexpected
    if not (report.is_consistent or (is_whole and not check)):
        raise typer.Exit(1)
    if not json:
        console.print("[green]the same[/green]" if report.is_consistent else "[green]repaired[/green]")


async def _reconcile(settings: Settings, repair: bool, days: int | None) -> ReconciliationRun:
    instance = instance_of(settings)
    state = instance.state()
    prepare_ray_environment(instance)
    # Ray reads its environment when it is imported, so not before now.
    from runtime.cluster import bootstrap
    from runtime.cluster.service_actor import ask_service

    async def ask(question: str, **arguments: Any) -> ReconciliationRun:
        reason = ""
        for holder in _HOLDERS:
            try:
                answer = await ask_service(holder, question, **arguments)
            except (ConnectionError, ValueError) as error:
                reason = str(error) if "another process" not in str(error) else reason
                continue
            return msgspec.convert(answer, ReconciliationRun)
        raise ConnectionError(reason)

    with console.status("joining the cluster") if console.is_terminal else contextlib.nullcontext():
        await asyncio.to_thread(bootstrap.join, state.ray_address)
    try:
        since_ms = int(time.time() * 1000) - days * DAY_MS if days else 0
        run = await ask("reconcile", since_ms=since_ms, repair=repair)
        number = run.number
        columns = (TextColumn("hours"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=errors, disable=not errors.is_terminal, transient=True) as progress:
            bar = progress.add_task("hours", total=None)
            while run.is_running:
                await asyncio.sleep(_POLL_S)
                run = await ask("reconciliation", number=number)
                progress.update(bar, completed=run.hours_done, total=run.hours_total or None)
        return run
    finally:
        await asyncio.to_thread(bootstrap.stop)
