"""How much a broadcast through the casino costs beside the least it could: ``python -m
benchmarks.broadcast --url … --connections 5000``.

Owns the comparison, in one run and by turns, with the same clients: a bare server that writes a frame
to every socket (``bare_broadcast``), ticking and then as fast as it can; and a table of the casino.
A table ticks ten times a second whatever it could do, so what is compared is the server's CPU time
per delivery.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from time import monotonic
from typing import Annotated
from urllib.parse import urlsplit

import msgspec
import psutil
import typer
import uvloop
from rich.console import Console

from benchmarks.broadcast_report import BroadcastReport, Side, print_broadcast
from benchmarks.crash.run import watch_line, watcher_shares
from benchmarks.crash.watchers import WatchResult, WatchStatus
from benchmarks.crowd import SignUpFailed
from benchmarks.descriptors import TooFewDescriptors, allow_sockets
from benchmarks.measurements import quantiles_of
from benchmarks.options import WatchOptions
from benchmarks.presentation import LiveLine
from benchmarks.troupe import BotProcessFailed, RemoteTroupe, in_own_process

_TICK_BYTES = 120
"""Until the casino's first tick has shown its size."""
_SETTLE_S = 1.0
_TICKS_MIN = 50
"""Of the table in each of its turns: rounds are short by chance, and pauses tell nothing."""
_TURN_STRETCH_MAX = 8

Watchers = RemoteTroupe[WatchStatus, WatchResult]
Show = Callable[[float, str], None]


class NoServer(Exception):
    """The processes that serve the URL cannot be told."""


def cpu_seconds(pids: Sequence[int]) -> float:
    """User and system time that these processes have used.

    Raises:
        NoServer: one of them is gone.
    """
    ticks = 0
    for pid in pids:
        try:
            text = Path(f"/proc/{pid}/stat").read_text()
        except OSError as error:
            raise NoServer(f"process {pid} is gone") from error
        # The name, in parentheses, may hold anything; utime and stime are the 14th and 15th fields.
        fields = text.rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def serving_pids(url: str) -> list[int]:
    """The processes of this machine that listen on the URL's port.

    Raises:
        NoServer: none can be seen.
    """
    parts = urlsplit(url if "://" in url else f"http://{url}")
    port = parts.port or (443 if parts.scheme in ("https", "wss") else 80)
    found = {
        connection.pid
        for connection in psutil.net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port and connection.pid
    }
    if not found:
        raise NoServer(f"no process of this user listens on port {port}: give --pid for each gateway")
    return sorted(found)


async def run_broadcast(
    url: str,
    table: str,
    connections: int,
    seconds: float,
    *,
    cycles: int = 2,
    processes: int = 2,
    pids: Sequence[int] = (),
    sign_up_timeout_s: float = 120.0,
    show: Show = lambda elapsed_s, text: None,
) -> BroadcastReport:
    """``cycles`` times: the bare server ticks for half of ``seconds`` and floods for a quarter, then the
    casino's table is heard for ``seconds`` (and until it has ticked a while).

    Raises:
        SignUpFailed: not all watchers could be connected.
        NoServer: the gateways' processes cannot be told, or ended.
        BotProcessFailed: a process of watchers ended.
    """
    gateways = list(pids) or serving_pids(url)
    async with AsyncExitStack() as stack:
        bare = await stack.enter_async_context(_bare_server())
        shared = {"players": connections, "table": table, "sign_up_timeout_s": sign_up_timeout_s}
        sides: list[list[Watchers]] = []
        for options in (
            WatchOptions(url=f"http://127.0.0.1:{bare.port}", bare=True, **shared),  # type: ignore[arg-type]
            WatchOptions(url=url, **shared),  # type: ignore[arg-type]
        ):
            options.check()
            sides.append(
                [
                    await stack.enter_async_context(in_own_process(share, WatchStatus, WatchResult))
                    for share in watcher_shares(options, processes)
                ]
            )
        show(0.0, f"connecting: {connections:,} watchers to the casino, as many to a bare server …")
        for troupes in sides:
            await asyncio.gather(*(troupe.gather() for troupe in troupes))
        turns = _Turns(gateways, bare, sides[0], sides[1], show)
        for _ in range(cycles):
            await turns.bare_ticks(seconds / 2)
            await turns.bare_floods(seconds / 4)
            await turns.casino_ticks(seconds)
        return turns.report(url, table, connections, processes)


class _Bare:
    """The bare server's process."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.port = 0

    @property
    def pid(self) -> int:
        return self._process.pid

    async def order(self, order: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(order.encode() + b"\n")
        await self.answer()

    async def answer(self) -> float:
        assert self._process.stdout is not None
        line = await self._process.stdout.readline()
        if not line:
            raise BotProcessFailed(f"the bare server ended with {await self._process.wait()}")
        return float(line)


@asynccontextmanager
async def _bare_server() -> AsyncIterator[_Bare]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "benchmarks.bare_broadcast",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    bare = _Bare(process)
    try:
        bare.port = int(await bare.answer())
        yield bare
    finally:
        assert process.stdin is not None
        process.stdin.close()
        try:
            await asyncio.wait_for(process.wait(), 5.0)
        except TimeoutError:
            process.kill()
            await process.wait()


class _Sum:
    """One side's turns, so far."""

    def __init__(self, ticks: bool) -> None:
        self.seconds = 0.0
        self.cpu_s = 0.0
        self.ticks = 0
        self._has_lag = ticks
        self._deliveries = 0
        self._per_s_max = 0.0
        self._lags: list[str] = []

    def add(self, statuses: Sequence[WatchStatus], seconds: float) -> None:
        """About a second of it."""
        deliveries = sum(status.deliveries for status in statuses)
        self.seconds += seconds
        self.ticks += max(status.ticks for status in statuses)
        self._deliveries += deliveries
        self._per_s_max = max(self._per_s_max, deliveries / seconds)
        self._lags += [status.lag for status in statuses]

    def side(self) -> Side:
        return Side(
            seconds=round(self.seconds, 3),
            deliveries=self._deliveries,
            deliveries_per_s=round(self._deliveries / self.seconds, 1),
            deliveries_per_s_max=round(self._per_s_max, 1),
            ticks=self.ticks,
            cpu_s=round(self.cpu_s, 2),
            # The kernel counts in hundredths of a second.
            deliveries_per_cpu_s=round(self._deliveries / max(self.cpu_s, 0.01), 1),
            lag=quantiles_of(self._lags) if self._has_lag else None,
        )


class _Turns:
    """Whose turn it is, and what each has done so far."""

    def __init__(
        self,
        gateways: Sequence[int],
        bare: _Bare,
        bare_watchers: Sequence[Watchers],
        casino_watchers: Sequence[Watchers],
        show: Show,
    ) -> None:
        self._gateways = gateways
        self._bare = bare
        self._bare_watchers = bare_watchers
        self._casino_watchers = casino_watchers
        self._show = show
        self._began = monotonic()
        self._tick_bytes = 0
        self._ticking, self._flooding, self._casino = _Sum(True), _Sum(False), _Sum(True)
        self._idle_s = 0.0
        self._idle_cpu_s = 0.0
        self._listening = 0
        self._errors = 0
        self._reconnects = 0
        self._is_playing = False

    async def bare_ticks(self, seconds: float) -> None:
        await self._bare_turn("tick", self._ticking, seconds)

    async def bare_floods(self, seconds: float) -> None:
        await self._bare_turn("flood", self._flooding, seconds)

    async def casino_ticks(self, seconds: float) -> None:
        await asyncio.gather(*(troupe.play() for troupe in self._casino_watchers))
        await asyncio.sleep(_SETTLE_S)
        statuses = await self._measure(
            "casino", self._casino_watchers, self._gateways, self._casino, seconds, _TICKS_MIN
        )
        self._tick_bytes = max(self._tick_bytes, *(status.tick_bytes for status in statuses))
        self._listening = sum(status.listening for status in statuses)
        self._errors = sum(status.errors for status in statuses)
        self._reconnects = sum(status.reconnects for status in statuses)
        await asyncio.gather(*(troupe.mute() for troupe in self._casino_watchers))

    def report(self, url: str, table: str, connections: int, processes: int) -> BroadcastReport:
        ticking, flooding, casino = self._ticking.side(), self._flooding.side(), self._casino.side()

        def share(of: Side) -> float:
            return round(casino.deliveries_per_cpu_s / of.deliveries_per_cpu_s, 3) if of.deliveries else 0.0

        report = BroadcastReport(
            ok=False,
            url=url,
            table=table,
            connections=connections,
            processes=processes,
            tick_bytes=self._tick_bytes or _TICK_BYTES,
            bare_ticking=ticking,
            bare_flooding=flooding,
            casino=casino,
            casino_idle_cpu_share=round(self._idle_cpu_s / max(self._idle_s, 1e-9), 3),
            share=share(ticking),
            share_of_ceiling=share(flooding),
            listening=self._listening,
            errors=self._errors,
            reconnects=self._reconnects,
        )
        report.ok = not report.failures
        return report

    async def _bare_turn(self, how: str, total: _Sum, seconds: float) -> None:
        if not self._is_playing:
            self._is_playing = True
            await asyncio.gather(*(troupe.play() for troupe in self._bare_watchers))
        await self._bare.order(f"{how} {self._tick_bytes or _TICK_BYTES}")
        idle_began, idle_cpu_s = monotonic(), cpu_seconds(self._gateways)
        await self._measure(f"bare {how}", self._bare_watchers, [self._bare.pid], total, seconds)
        self._idle_s += monotonic() - idle_began
        self._idle_cpu_s += cpu_seconds(self._gateways) - idle_cpu_s
        await self._bare.order("idle")
        await self._until_quiet(self._bare_watchers)

    async def _measure(
        self,
        what: str,
        troupes: Sequence[Watchers],
        pids: Sequence[int],
        total: _Sum,
        seconds: float,
        ticks_min: int = 0,
    ) -> Sequence[WatchStatus]:
        await asyncio.gather(*(troupe.status() for troupe in troupes))
        cpu_s, began, ticks = cpu_seconds(pids), monotonic(), total.ticks
        while True:
            second = monotonic()
            await asyncio.sleep(min(1.0, seconds))
            statuses = await asyncio.gather(*(troupe.status() for troupe in troupes))
            now = monotonic()
            total.add(statuses, now - second)
            self._show(now - self._began, f"{what}: {watch_line(now - began, seconds, statuses)}")
            enough = total.ticks - ticks >= ticks_min or now - began >= _TURN_STRETCH_MAX * seconds
            if now - began >= seconds and enough:
                break
        total.cpu_s += cpu_seconds(pids) - cpu_s
        return statuses

    async def _until_quiet(self, troupes: Sequence[Watchers]) -> None:
        """What a flood left in the sockets must not be counted for anybody else."""
        while True:
            await asyncio.sleep(0.25)
            statuses = await asyncio.gather(*(troupe.status() for troupe in troupes))
            if not any(status.deliveries for status in statuses):
                return


def broadcast(
    url: Annotated[str, typer.Option(help="Address of the casino.")] = "http://127.0.0.1:8000",
    connections: Annotated[int, typer.Option(help="To each side.", min=1)] = 5000,
    seconds: Annotated[float, typer.Option(help="The casino's turn, in each cycle.", min=0.1)] = 20.0,
    cycles: Annotated[int, typer.Option(help="Turns of each side.", min=1)] = 2,
    table: Annotated[str, typer.Option(help="The table to listen to.")] = "main",
    processes: Annotated[int, typer.Option(help="Of watchers, for each side.", min=1)] = 2,
    pid: Annotated[
        list[int] | None,
        typer.Option(help="A gateway's process, once for each. Default: whoever listens on the port."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the report as one JSON object.")] = False,
) -> None:
    """Measure the broadcast of a Crash table beside a bare server, by turns, with the same clients."""
    errors = Console(stderr=True)
    try:
        allow_sockets(connections)
        with LiveLine(errors) as live:
            report = uvloop.run(
                run_broadcast(
                    url,
                    table,
                    connections,
                    seconds,
                    cycles=cycles,
                    processes=processes,
                    pids=pid or (),
                    show=live.show_line,
                )
            )
    except (SignUpFailed, BotProcessFailed, NoServer, TooFewDescriptors, ValueError) as error:
        errors.print(f"broadcast: {error}", style="red", markup=False)
        raise typer.Exit(2) from None
    if json:
        typer.echo(msgspec.json.encode(report).decode())
    else:
        print_broadcast(Console(), report)
    if not report.ok:
        raise typer.Exit(1)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        typer.run(broadcast)
