"""``doctor``: looks for what would keep the casino from working well, and says how to mend it."""

from __future__ import annotations

import asyncio
import resource
import shutil
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import msgspec
import typer
from redis.asyncio import Redis
from rich.table import Table

from deploy.commands.options import DataOption, JsonOption, console, instance_of, print_json, settings_for
from deploy.crash_chains import ROUNDS_LEFT_MIN, TableChains, chains_of
from deploy.instance import Instance, NotRunning, RunState
from deploy.settings import Settings
from persistence.postgres.crash_chains import CrashChains
from persistence.postgres.durability import NotDurable, check_durability
from persistence.postgres.migrate import current_revision, head_revision
from persistence.status_board import BoardUnavailable, StatusBoard
from runtime.errors import JournalError

OPEN_FILES_MIN = 4096
FREE_BYTES_MIN = 1 << 30
CLOCK_SKEW_DOUBTFUL_S = 1.0
CLOCK_SKEW_MAX_S = 5.0
"""As far apart as tokens allow: see ``gateway.tokens.LEEWAY_S``."""
EVENTS_LAG_DOUBTFUL_S = 60.0
_TIMEOUT_S = 5.0


class Finding(msgspec.Struct):
    check: str
    ok: bool
    detail: str
    advice: str = ""
    doubtful: bool = False
    """It works, but not for long, or not well."""


def doctor(data: DataOption = None, json: JsonOption = False) -> None:
    """Check this machine, and the casino on it when it is up. Exits with 1 when something is wrong."""
    settings = settings_for(data)
    findings = asyncio.run(_examine(settings, instance_of(settings)))
    if json:
        print_json(findings)
    else:
        table = Table("check", "", "detail", box=None)
        for finding in findings:
            is_fine = finding.ok and not finding.doubtful
            advice = f"\n→ {finding.advice}" if finding.advice and not is_fine else ""
            table.add_row(finding.check, _mark(finding), finding.detail + advice)
        console.print(table)
    if not all(finding.ok for finding in findings):
        raise typer.Exit(1)


def _mark(finding: Finding) -> str:
    if not finding.ok:
        return "[red]wrong[/red]"
    return "[yellow]doubtful[/yellow]" if finding.doubtful else "[green]ok[/green]"


async def _examine(settings: Settings, instance: Instance) -> list[Finding]:
    findings = [_python(), _open_files(), _disk(instance.data)]
    try:
        state = instance.state()
    except NotRunning as error:
        findings.append(Finding("casino", True, str(error)))
        return findings
    findings.append(Finding("casino", True, f"up as process {state.pid}"))
    checks: list[Callable[[RunState], Awaitable[Finding]]] = [
        _postgres, _schema, _clock, _redis, _gateway, _dashboard,
    ]  # fmt: skip
    findings += [await check(state) for check in checks]
    findings += await _crash(settings, state)
    if settings.events_relayed:
        findings.append(await _events(state))
    findings.append(_secrets(instance))
    return findings


def _python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    return Finding("python", sys.version_info >= (3, 11), version, "install Python 3.11 or later")


def _open_files() -> Finding:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return Finding(
        "open files",
        soft >= OPEN_FILES_MIN,
        f"{soft} allowed",
        f"each socket is a file: raise the limit, for example 'ulimit -n {OPEN_FILES_MIN * 16}'",
    )


def _disk(data: Path) -> Finding:
    place = data if data.exists() else data.parent
    free = shutil.disk_usage(place).free
    return Finding("disk", free >= FREE_BYTES_MIN, f"{free / 2**30:.1f} GiB free", "make room on the disk")


async def _postgres(state: RunState) -> Finding:
    try:
        await check_durability(state.dsn)
    except (NotDurable, JournalError, OSError) as error:
        return Finding("postgres", False, str(error), "see the message")
    return Finding("postgres", True, "reachable, and keeps what it acknowledges")


async def _schema(state: RunState) -> Finding:
    try:
        current, head = await current_revision(state.dsn), head_revision()
    except (JournalError, OSError) as error:
        return Finding("schema", False, str(error), "see 'postgres'")
    return Finding("schema", current == head, f"at {current}, newest {head}", "run 'casino migrate'")


async def _clock(state: RunState) -> Finding:
    try:
        connection = await asyncpg.connect(state.dsn, timeout=_TIMEOUT_S, command_timeout=_TIMEOUT_S)
        try:
            # The second question meets a server that is awake, and is answered sooner.
            for _ in range(2):
                asked_s = time.time()
                server_s = float(await connection.fetchval("SELECT extract(epoch FROM clock_timestamp())"))
                answered_s = time.time()
        finally:
            await connection.close()
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError) as error:
        return Finding("clock", False, f"{type(error).__name__}", "see 'postgres'")
    return clock_finding(server_s - (asked_s + answered_s) / 2, answered_s - asked_s)


def clock_finding(skew_s: float, round_trip_s: float) -> Finding:
    """``skew_s``: how much Postgres is ahead, give or take half of the round trip."""
    apart_s = max(0.0, abs(skew_s) - round_trip_s / 2)
    return Finding(
        "clock",
        apart_s <= CLOCK_SKEW_MAX_S,
        f"Postgres is {abs(skew_s):.2f} s {'ahead' if skew_s > 0 else 'behind'}",
        "tokens and revocations carry the database's time: synchronise both machines' clocks (NTP)",
        doubtful=apart_s > CLOCK_SKEW_DOUBTFUL_S,
    )


async def _crash(settings: Settings, state: RunState) -> list[Finding]:
    store = CrashChains(state.dsn, timeout_s=_TIMEOUT_S)
    try:
        return [chain_finding(await chains_of(store, table.name)) for table in settings.crash_tables]
    except (JournalError, asyncpg.PostgresError, OSError) as error:
        return [Finding("crash", False, f"{type(error).__name__}", "see 'postgres' and 'schema'")]
    finally:
        await store.close()


def chain_finding(found: TableChains) -> Finding:
    """Whether the table has rounds left in a chain whose salt is published, and for how long."""
    command = "publish" if found.waiting is not None else "generate"
    return Finding(
        f"crash {found.table}",
        found.rounds_left > 0,
        f"{found.rounds_left:,} rounds left" if found.chains else "no hash chain",
        f"casino crash-chain {command} --table {found.table}",
        doubtful=found.rounds_left < ROUNDS_LEFT_MIN,
    )


async def _redis(state: RunState) -> Finding:
    client = Redis.from_url(state.redis_url, socket_timeout=2.0, socket_connect_timeout=2.0)
    try:
        await client.ping()
    except Exception as error:
        return Finding("redis", False, str(error), "play goes on without it; look at its log")
    finally:
        await client.aclose()
    return Finding("redis", True, "answers")


async def _events(state: RunState) -> Finding:
    board = StatusBoard(state.redis_url)
    try:
        return events_finding(await board.read())
    except BoardUnavailable:
        return Finding("events", True, "not known without Redis", "see 'redis'", doubtful=True)
    finally:
        await board.close()


def events_finding(board: Mapping[str, Mapping[str, Any]]) -> Finding:
    """Whether events get out of the journal, by what those say of themselves who move them."""
    movers = ["event-relay"]
    if board.get("event-relay", {}).get("has_bus"):
        movers.append("event-sink")
    lags_s = {name: board.get(name, {}).get("lag_seconds") for name in movers}
    idle = [name for name, lag_s in lags_s.items() if lag_s is None]
    slowest = max(movers, key=lambda name: lags_s[name] or 0.0)
    lag_s = lags_s[slowest] or 0.0
    detail = f"{idle[0]} moves nothing on" if idle else f"{slowest} is {lag_s:.1f} s behind"
    return Finding(
        "events",
        True,
        detail,
        "play is not touched: look at the logs of event-relay and event-sink, and at Kafka and ClickHouse",
        doubtful=bool(idle) or lag_s > EVENTS_LAG_DOUBTFUL_S,
    )


async def _gateway(state: RunState) -> Finding:
    try:
        async with httpx.AsyncClient(timeout=3.0, trust_env=False) as client:
            answer = await client.get(f"{state.url}/readyz")
    except httpx.HTTPError as error:
        return Finding("gateway", False, f"{type(error).__name__} at {state.url}", "see 'casino status'")
    return Finding("gateway", answer.status_code == 200, answer.text, "see 'casino status'")


async def _dashboard(state: RunState) -> Finding:
    """Whoever reaches a Ray dashboard without a token can run code on the cluster."""
    try:
        async with httpx.AsyncClient(timeout=5.0, trust_env=False) as client:
            answer = await client.get(f"{state.dashboard}/api/jobs/")
    except httpx.HTTPError as error:
        return Finding("ray dashboard", False, f"{type(error).__name__}", "restart the casino")
    closed = answer.status_code in (401, 403)
    return Finding(
        "ray dashboard",
        closed,
        "asks for its token" if closed else f"answers {answer.status_code} without a token",
        "anyone who reaches it can run code: set RAY_AUTH_MODE=token",
    )


def _secrets(instance: Instance) -> Finding:
    loose = [p.name for p in (instance.data / "secrets").iterdir() if p.stat().st_mode & 0o077]
    return Finding("secrets", not loose, ", ".join(loose) or "readable by the owner only", "chmod 600 them")
