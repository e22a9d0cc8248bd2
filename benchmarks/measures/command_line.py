"""What the measures' command lines have in common: progress, faults, and how a result is told."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable
from time import monotonic
from typing import Any, TypeVar

import asyncpg
import msgspec
import typer
import uvloop
from rich.console import Console

from benchmarks.crowd import SignUpFailed
from benchmarks.descriptors import TooFewDescriptors
from benchmarks.load.target import TargetError
from benchmarks.measures.guests import Report
from benchmarks.measures.server import MeasureFailed
from benchmarks.troupe import BotProcessFailed

FAULT = 2
"""Exit code when nothing could be measured; standard error says why."""

_FAULTS = (
    MeasureFailed, TargetError, SignUpFailed, BotProcessFailed, TooFewDescriptors, asyncpg.PostgresError,
    ValueError, OSError,
)  # fmt: skip

StructT = TypeVar("StructT", bound=msgspec.Struct)


def numbers(option: str, text: str) -> list[int]:
    """``10000,100000`` as a list, ascending.

    Raises:
        ValueError: not such a text, or a number below one.
    """
    try:
        found = sorted({int(part.replace("_", "")) for part in text.split(",")})
    except ValueError:
        raise ValueError(f"{option}: {text!r} is not a list of numbers such as 1000,10000") from None
    if found[0] < 1:
        raise ValueError(f"{option}: {found[0]} is less than 1")
    return found


def tell(
    name: str,
    measure: Callable[[Report], Coroutine[Any, Any, StructT]],
    lines: Callable[[StructT], Iterable[str]],
    as_json: bool,
) -> None:
    """Run a measure. Progress goes to standard error, its outcome to standard output.

    Raises:
        typer.Exit: with ``FAULT``, after having said why; with 130 when somebody had enough.
    """
    errors = Console(stderr=True)
    began_s = monotonic()

    def report(line: str) -> None:
        passed = f"{monotonic() - began_s:6.1f} s  {line}"
        errors.print(passed, style="dim", markup=False, highlight=False, soft_wrap=True)

    try:
        outcome = uvloop.run(measure(report))
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
    except _FAULTS as error:
        errors.print(f"{name}: {error}", style="red", markup=False, highlight=False, soft_wrap=True)
        raise typer.Exit(FAULT) from None
    if as_json:
        typer.echo(msgspec.json.encode(outcome).decode())
    else:
        for line in lines(outcome):
            typer.echo(line)
