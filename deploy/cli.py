"""The command ``casino``: mounts what an operator can do. Each command lives with its own kind.

A command's module is imported when it is asked for, or for help: all of them together take longer than
most commands do.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup
from typer.main import get_command, get_group

COMMANDS = {
    "up": "deploy.commands.lifecycle:up",
    "down": "deploy.commands.lifecycle:down",
    "status": "deploy.commands.lifecycle:status",
    "scale": "deploy.commands.lifecycle:scale",
    "doctor": "deploy.commands.doctor:doctor",
    "bots": "benchmarks.command:bots",
    "audit": "deploy.commands.inspection:audit",
    "replay": "deploy.commands.inspection:replay",
    "reconcile": "deploy.commands.reconciliation:reconcile",
    "migrate": "deploy.commands.schema:migrate",
    "asyncapi": "deploy.commands.schema:asyncapi",
    "openapi": "deploy.commands.schema:openapi",
    "event-schema": "deploy.commands.schema:published_events",
    "bench": "benchmarks.load.command:bench",
    "verify": "deploy.commands.verification:verify",
    "crash-chain": "deploy.commands.crash_chain:crash_chain",
    "admin": "deploy.commands.accounts:admin",
    "invite": "deploy.commands.accounts:invite",
    "keys": "deploy.commands.keys:keys",
}
"""Where each command is: a function, or a group of commands."""


class _Commands(TyperGroup):
    """The table above, in its order."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name].partition(":")
        found = getattr(import_module(module), name)
        if isinstance(found, typer.Typer):
            mounted: Any = get_group(found)
        else:
            alone = typer.Typer(add_completion=False)
            alone.command(cmd_name)(found)
            mounted = get_command(alone)
        mounted.name = cmd_name
        return mounted


app = typer.Typer(
    name="casino",
    cls=_Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,
)


@app.callback()
def casino() -> None:
    """A free-to-play casino on a durable actor runtime."""
