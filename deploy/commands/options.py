"""Options that several commands share, and how they find the instance they speak of."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Annotated, Any, NoReturn

import msgspec
import typer
from rich.console import Console

from deploy.instance import Instance, NotRunning
from deploy.settings import Settings

DataOption = Annotated[
    Path | None,
    typer.Option("--data", help="Directory of the instance; .casino here if left out.", show_default=False),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]

console = Console()
errors = Console(stderr=True)


def settings_for(data: Path | None, **overrides: Any) -> Settings:
    """Settings from the environment, with what the command line says on top."""
    given = {name: value for name, value in overrides.items() if value is not None}
    if data is not None:
        given["data"] = data
    return Settings(**given)


def instance_of(settings: Settings) -> Instance:
    return Instance(settings.data)


def dsn_of(settings: Settings) -> str:
    """Address of the instance's database: as configured, or of the embedded server that is up.

    Raises:
        NotRunning: the embedded server is not running.
    """
    if settings.postgres_dsn is not None:
        return settings.postgres_dsn.get_secret_value()
    instance = instance_of(settings)
    if not instance.data.exists():
        raise NotRunning(f"there is no casino in {instance.data}: start one with 'casino up'")
    return instance.state().dsn


def masked(dsn: str) -> str:
    """An address of a database that may be shown: without its password, wherever it stands."""
    # Up to the last @: a password with one in it must not show either.
    dsn = re.sub(r"(?<=://)([^:/?#@]*):.*@", r"\1:***@", dsn)
    return re.sub(r"(?i)(?<=[?&])((?:ssl)?password=)[^&#]*", r"\1***", dsn)


def print_json(value: Any) -> None:
    sys.stdout.buffer.write(msgspec.json.format(msgspec.json.encode(value)) + b"\n")


def fail(message: str, status: int = 1) -> NoReturn:
    """End the command with an error for people."""
    errors.print(f"[red]error:[/red] {message}", soft_wrap=True, highlight=False)
    raise typer.Exit(status)
