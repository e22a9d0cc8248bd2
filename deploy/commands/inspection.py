"""``audit`` and ``replay``: proofs that the house can be asked for."""

from __future__ import annotations

import asyncio
import secrets
from typing import Annotated, Any

import msgspec
import typer
from rich.table import Table

from actors.catalogue import behaviors
from actors.profile import GetProfile
from deploy.commands.options import (
    DataOption,
    JsonOption,
    console,
    dsn_of,
    fail,
    instance_of,
    print_json,
    settings_for,
)
from deploy.instance import NotRunning
from deploy.operator_router import operator_router
from deploy.settings import Settings
from persistence.postgres.archive import Archive
from persistence.postgres.audit import audit as audit_database
from persistence.postgres.membership import PostgresMembership
from runtime.errors import JournalError
from runtime.identity import Dedicated, Packed, actor_id
from runtime.replay import Replay

_EXAMPLES_SHOWN = 3


def audit(data: DataOption = None, json: JsonOption = False) -> None:
    """Prove that no gold was made or lost: double entry, balances, escrows, gap-free journals."""
    try:
        dsn = dsn_of(settings_for(data))
        with console.status("reading the ledger") if not json else _nothing():
            report = asyncio.run(audit_database(dsn))
    except (NotRunning, JournalError, OSError) as error:
        fail(str(error))
    if json:
        print_json(report)
    else:
        table = Table("check", "result", box=None)
        for check in report.checks:
            table.add_row(check.name, "[green]ok[/green]" if check.ok else "[red]VIOLATED[/red]")
            for example in check.examples[:_EXAMPLES_SHOWN]:
                table.add_row("", str(example))
        console.print(table)
        console.print("[green]clean[/green]" if report.ok else "[red]not clean[/red]")
    if not report.ok:
        raise typer.Exit(1)


class _nothing:
    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None: ...


class ReplayReport(msgspec.Struct):
    user: str
    turns: int
    events: int
    snapshot: str
    live: str
    problems: list[str]
    state: Any


def replay(
    user: Annotated[str, typer.Argument(help="User id, such as u_….")],
    data: DataOption = None,
    json: JsonOption = False,
) -> None:
    """Rebuild a session from its journal alone, and compare it with the live one."""
    settings = settings_for(data)
    try:
        report = asyncio.run(_replay(settings, dsn_of(settings), user))
    except (NotRunning, JournalError, OSError, LookupError) as error:
        fail(str(error))
    if json:
        print_json(report)
    else:
        console.print(f"{report.turns} turns with {report.events} events replayed")
        console.print(f"snapshot: {report.snapshot}")
        console.print(f"live session: {report.live}")
        console.print(report.state)
        for problem in report.problems:
            console.print(f"[red]{problem}[/red]")
    if report.problems:
        raise typer.Exit(1)


async def _replay(settings: Settings, dsn: str, user: str) -> ReplayReport:
    behavior = behaviors()["session"]
    packed = settings.session_placement == "packed"
    behavior.placement = Packed(settings.session_shards) if packed else Dedicated()
    actor = actor_id("session", user)
    membership = PostgresMembership(dsn)
    archive = Archive(dsn)
    secret = settings.cluster_secret
    try:
        snapshot = await archive.snapshot(actor)
        rebuilt = Replay(behavior, user, snapshot)
        async with operator_router(
            membership,
            {"session": behavior.placement},
            (secret.get_secret_value() if secret else instance_of(settings).secret("cluster")).encode(),
        ) as router:
            await archive.feed(actor, rebuilt)
            if rebuilt.seq == 0:
                raise LookupError(f"there is no journal of {user!r}")
            if behavior.is_new(rebuilt.state):
                live = "not asked: nobody has signed in yet, and asking would open it"
            else:
                live = await _compare(router, archive, rebuilt, actor)
    finally:
        await membership.close()
        await archive.close()
    snapshot_says = "none yet"
    if snapshot is not None:
        snapshot_says = f"equal after turn {snapshot.seq}" if rebuilt.snapshot_checked else "not reached"
    return ReplayReport(
        user,
        rebuilt.seq,
        rebuilt.events,
        snapshot_says,
        live,
        rebuilt.problems,
        msgspec.to_builtins(behavior.view(rebuilt.state)),
    )


async def _compare(router: Any, archive: Archive, rebuilt: Replay[Any], actor: Any) -> str:
    """Ask the live session until journal and answer are of the same moment: it may be playing."""
    behavior = behaviors()["session"]
    for _ in range(20):
        try:
            live = await router.ask(actor, secrets.token_hex(8), "get_profile", GetProfile())
        except LookupError as error:
            return f"not asked ({error})"
        before = rebuilt.seq
        await archive.feed(actor, rebuilt)
        if live == msgspec.msgpack.decode(msgspec.msgpack.encode(behavior.view(rebuilt.state))):
            return f"equal after turn {rebuilt.seq}"
        if rebuilt.seq == before:
            rebuilt.problems.append("the live session differs from its journal")
            return "differs"
    return "not compared: it plays too fast to catch a moment of rest"
