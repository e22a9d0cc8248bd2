"""The command ``casino``: mounts what an operator can do. Each command lives with its own kind."""

from __future__ import annotations

import typer

from benchmarks.command import bots
from benchmarks.load.command import bench
from deploy.commands.accounts import admin, invite
from deploy.commands.crash_chain import crash_chain
from deploy.commands.doctor import doctor
from deploy.commands.inspection import audit, replay
from deploy.commands.keys import keys
from deploy.commands.lifecycle import down, scale, status, up
from deploy.commands.reconciliation import reconcile
from deploy.commands.schema import asyncapi, migrate, openapi, published_events
from deploy.commands.verification import verify

app = typer.Typer(
    name="casino",
    help="A free-to-play casino on a durable actor runtime.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,
)

for command in (up, down, status, scale, doctor, bots, audit, replay, reconcile, migrate, asyncapi, openapi):
    app.command()(command)
app.command("event-schema")(published_events)
app.add_typer(bench, name="bench")
app.add_typer(verify, name="verify")
app.add_typer(crash_chain, name="crash-chain")
app.add_typer(admin, name="admin")
app.add_typer(invite, name="invite")
app.add_typer(keys, name="keys")
