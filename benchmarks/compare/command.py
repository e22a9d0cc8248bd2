"""``casino bench compare``: what a person types, and what is written."""

# Annotations are evaluated where they stand, as typer needs them.

import asyncio
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
import uvloop
from rich.console import Console

from benchmarks.compare.catalogue import SPECS, chosen, servers, summaries
from benchmarks.compare.handbook import check_docs, write_docs
from benchmarks.compare.progress import LiveRows, print_comparison
from benchmarks.compare.result import FILE, Comparison, read, written
from benchmarks.compare.row import FULL, QUICK, Sizes, Spec
from benchmarks.compare.run import compare
from benchmarks.load.machine import command_line
from benchmarks.page.comparison import comparison_document

MISSED = 99
"""Exit code when a target was missed, or could not be measured beside others that could."""
FAULT = 2
"""Exit code when nothing could be measured; why is on standard error."""


def comparison(
    only: Annotated[
        list[str] | None,
        typer.Option(metavar="ROW", help=f"Measure this row alone; repeatable. {', '.join(SPECS)}."),
    ] = None,
    rounds: Annotated[
        int | None,
        typer.Option(min=1, max=100, help=f"Pairs of slices of two servers. Default: {FULL.pairs}."),
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Small and short, to see that it works; figures are rough.")
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(help=f"Write {FILE} and index.html into this directory.", file_okay=False),
    ] = None,
    source: Annotated[
        Path | None,
        typer.Option("--from", help=f"Measure nothing: show, or write, this {FILE} again.", dir_okay=False),
    ] = None,
    docs: Annotated[
        Path | None,
        typer.Option(
            "--write-docs",
            help="Write the table into this handbook page, between its two comments.",
            dir_okay=False,
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the comparison as one JSON object.")] = False,
) -> None:
    """Compare the casino with other servers and with its own parts, by turns: the table of targets.

    All rows take less than 15 minutes on two cores. Ctrl-C ends it early, and
    keeps what was measured. The exit code is 0 when every target was met, 99
    when one was not, and 2 when nothing could be measured.
    """
    errors = Console(stderr=True)
    try:
        if source is not None and (only or rounds or quick):
            raise ValueError("--from measures nothing: leave out --only, --rounds and --quick")
        if docs is not None:
            check_docs(docs)
        if source is not None:
            found = read(source.read_bytes())
        else:
            specs = chosen(only or [])
            sizes = QUICK if quick else FULL
            if rounds is not None:
                sizes = sizes._replace(pairs=rounds, broadcast_rounds=rounds)
            if out is not None:
                out.mkdir(parents=True, exist_ok=True)
            found = uvloop.run(_compared(specs, sizes, quick, errors))
        if out is not None:
            out.mkdir(parents=True, exist_ok=True)
            write(out, found)
        if docs is not None:
            write_docs(docs, found)
    except (ValueError, OSError) as error:
        errors.print(f"compare: {error}", style="red", markup=False, highlight=False, soft_wrap=True)
        raise typer.Exit(FAULT) from None
    if json:
        typer.echo(written(found).decode(), nl=False)
    else:
        print_comparison(Console(), found)
        if out is not None:
            typer.echo(f"the page: {out / 'index.html'}")
    if found.is_empty:
        errors.print("compare: nothing could be measured", style="red")
        raise typer.Exit(FAULT)
    if not found.ok:
        raise typer.Exit(MISSED)


def write(out: Path, found: Comparison) -> None:
    """The two files of a comparison."""
    (out / FILE).write_bytes(written(found))
    (out / "index.html").write_text(comparison_document(found))


async def _compared(specs: Sequence[Spec], sizes: Sizes, quick: bool, errors: Console) -> Comparison:
    interrupt = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signal_number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(signal_number, interrupt.set)
    with LiveRows(errors) as live:
        return await compare(
            specs,
            sizes,
            servers(),
            command=command_line(),
            quick=quick,
            summaries=summaries,
            show=live.show,
            done=live.done,
            interrupt=interrupt,
        )
