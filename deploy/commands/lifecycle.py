"""``up``, ``down``, ``status`` and ``scale``: the life of an instance."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from typing import Annotated, Any, Literal

import httpx
import msgspec
import typer
from rich.status import Status
from rich.table import Table

from deploy.commands.options import (
    DataOption,
    JsonOption,
    console,
    dsn_of,
    fail,
    instance_of,
    masked,
    print_json,
    settings_for,
)
from deploy.instance import AlreadyRunning, Instance, NotRunning, RunState
from deploy.scraping import CONFIGURATION, scraping_in
from persistence.embedded.process import EmbeddedServerError
from persistence.postgres.durability import NotDurable
from persistence.postgres.membership import PostgresMembership
from runtime.errors import JournalError
from runtime.journal import Desired

STOP_DEADLINE_S = 60.0


def up(
    data: DataOption = None,
    port: Annotated[int | None, typer.Option(help="Port of the gateway; 8000 if left out.")] = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on; 127.0.0.1 if left out.")] = None,
    session_hosts: Annotated[int | None, typer.Option(help="Processes that hold sessions.")] = None,
    gateways: Annotated[int | None, typer.Option(help="Processes that hold sockets.")] = None,
    placement: Annotated[
        str | None, typer.Option(help="'packed' (many sessions a process) or 'dedicated' (one each).")
    ] = None,
    kafka: Annotated[
        str | None, typer.Option(help="Brokers, as HOST:PORT[,…]; without, events need no bus.")
    ] = None,
    dashboard_port: Annotated[
        int | None, typer.Option(help="Port of the Ray dashboard; 8265 or the next free one if left out.")
    ] = None,
) -> None:
    """Start the casino, and serve until Ctrl-C.

    Everything else can be set by the environment (CASINO_POSTGRES_DSN, CASINO_REDIS_URL, …):
    see docs/operations.md.
    """
    # Ray and the migrations, which take longer to import than the other commands take.
    from deploy.launcher import Launcher, LaunchError

    settings = settings_for(
        data,
        port=port,
        host=host,
        session_hosts=session_hosts,
        gateways=gateways,
        session_placement=placement,
        kafka=kafka,
        ray_dashboard_port=dashboard_port,
    )
    instance = instance_of(settings)
    started_s = time.monotonic()
    status = Status("starting", console=console)

    def report(step: str) -> None:
        if console.is_terminal:
            status.update(step)
            status.start()
        else:
            console.print(f"· {step}")

    def notice(text: str) -> None:
        console.print(f"[yellow]![/yellow] {text}", soft_wrap=True, highlight=False)

    def ready(state: RunState) -> None:
        status.stop()
        _print_addresses(state, instance)
        seconds = time.monotonic() - started_s
        # Not wrapped, not coloured: scripts wait for this line.
        print(f"ready {state.url} (after {seconds:.1f} s; Ctrl-C stops everything)", flush=True)  # noqa: T201

    try:
        asyncio.run(Launcher(settings, instance, report, notice).run(ready))
    except (
        LaunchError, AlreadyRunning, EmbeddedServerError, NotDurable, JournalError, OSError,
    ) as error:  # fmt: skip
        status.stop()
        fail(str(error))
    finally:
        status.stop()
    console.print("stopped; all data is in", str(instance.data))


def _print_addresses(state: RunState, instance: Instance) -> None:
    token = instance.secret("ray-token")
    socket = state.url.replace("http", "ws", 1) + "/api/realtime/sync"
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_row("play", f"{socket}  (subprotocols casino.v1.msgpack, casino.v1.json)")
    table.add_row("REST", f"{state.url}/docs")
    table.add_row("health", f"{state.url}/healthz  {state.url}/readyz")
    table.add_row("Ray dashboard", f"{state.dashboard}  token {token}")
    table.add_row("Prometheus", f"prometheus --config.file={scraping_in(instance.data) / CONFIGURATION}")
    table.add_row("Postgres", masked(state.dsn))
    console.print(table, soft_wrap=True)


def down(data: DataOption = None) -> None:
    """Stop the casino that 'casino up' started on this data directory, and wait until it has ended."""
    instance = instance_of(settings_for(data))
    try:
        state = instance.state()
    except NotRunning as error:
        fail(str(error))
    with console.status("stopping"):
        os.kill(state.pid, signal.SIGTERM)
        deadline = time.monotonic() + STOP_DEADLINE_S
        while instance.is_locked():
            if time.monotonic() > deadline:
                fail(f"process {state.pid} has not ended within {STOP_DEADLINE_S:.0f} s")
            time.sleep(0.1)
    console.print("stopped")


class HostStatus(msgspec.Struct):
    name: str
    incarnation: int
    shards: int
    lease_remaining_s: float
    fenced: bool


class InstanceStatus(msgspec.Struct):
    state: Literal["ready", "not ready"]
    url: str
    dashboard: str
    epoch: int
    desired: Desired
    hosts: list[HostStatus]
    reasons: dict[str, Any]


def status(data: DataOption = None, json: JsonOption = False) -> None:
    """Show whether the casino takes traffic, and which host owns how much."""
    settings = settings_for(data)
    try:
        state = instance_of(settings).state()
        found = asyncio.run(_status(state))
    except (NotRunning, JournalError) as error:
        fail(str(error))
    if json:
        print_json(found)
    else:
        colour = "green" if found.state == "ready" else "red"
        console.print(f"[{colour}]{found.state}[/{colour}]  {found.url}  dashboard {found.dashboard}")
        table = Table("host", "incarnation", "shards", "lease left (s)", box=None)
        for host in found.hosts:
            lease = "fenced" if host.fenced else f"{host.lease_remaining_s:.1f}"
            table.add_row(host.name, str(host.incarnation), str(host.shards), lease)
        console.print(table)
        if found.reasons:
            console.print(found.reasons)
    if found.state != "ready":
        raise typer.Exit(1)


async def _status(state: RunState) -> InstanceStatus:
    membership = PostgresMembership(state.dsn)
    try:
        shard_map = await membership.shard_map()
        hosts = await membership.hosts()
        desired = await membership.desired()
    finally:
        await membership.close()
    owners = list(shard_map.owners.values())
    reasons: dict[str, Any] = {}
    is_ready = False
    try:
        async with httpx.AsyncClient(timeout=3.0, trust_env=False) as client:
            answer = await client.get(f"{state.url}/readyz")
            is_ready = answer.status_code == 200
            if not is_ready:
                reasons = answer.json()
    except httpx.HTTPError as error:
        reasons = {"gateway": f"{type(error).__name__}: {error}"}
    return InstanceStatus(
        "ready" if is_ready else "not ready",
        state.url,
        state.dashboard,
        shard_map.epoch,
        desired,
        [
            HostStatus(h.name, h.incarnation, owners.count(h.incarnation), h.lease_remaining_s, h.fenced)
            for h in sorted(hosts, key=lambda host: (host.name, host.incarnation))
        ],
        reasons,
    )


def scale(
    session_hosts: Annotated[int | None, typer.Option(help="Session hosts to have.", min=1)] = None,
    gateways: Annotated[int | None, typer.Option(help="Gateways to have.", min=1)] = None,
    data: DataOption = None,
) -> None:
    """Add or remove processes while the casino runs. Sockets stay open, and nothing is lost."""

    async def change(dsn: str) -> Desired:
        membership = PostgresMembership(dsn)
        try:
            before = await membership.desired()
            after = Desired(session_hosts or before.session_hosts, gateways or before.gateways)
            await membership.set_desired(after)
            return after
        finally:
            await membership.close()

    try:
        desired = asyncio.run(change(dsn_of(settings_for(data))))
    except (NotRunning, JournalError) as error:
        fail(str(error))
    console.print(f"asked for {desired.session_hosts} session hosts and {desired.gateways} gateways")
