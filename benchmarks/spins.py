"""``make bench``: durable spins per second on this machine, from a casino started for it alone."""

from __future__ import annotations

import asyncio
import os
import platform
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.bots import run_bots
from benchmarks.report import BotReport

LOADS = (500, 32, 1)
"""Connections, each with one command in flight."""
SECONDS = 15.0
WARM_UP_SECONDS = 3.0
START_DEADLINE_S = 120.0

console = Console()


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextmanager
def _casino(folder: str) -> Iterator[str]:
    """A casino with its default settings, and its URL."""
    port = _free_port()
    command = [
        str(Path(sys.executable).with_name("casino")),
        "up",
        f"--data={folder}/data",
        f"--port={port}",
        f"--dashboard-port={_free_port()}",
    ]
    process = subprocess.Popen(  # noqa: S603  # our own program
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        assert process.stdout is not None
        said = []
        for line in process.stdout:
            said.append(line)
            if line.startswith("ready"):
                break
        else:
            raise SystemExit("the casino did not start:\n" + "".join(said))
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(START_DEADLINE_S)


def _measure(url: str) -> list[BotReport]:
    reports = []
    for players in LOADS:
        with console.status(f"{players} connections, {SECONDS:.0f} s"):
            asyncio.run(run_bots(url, players, WARM_UP_SECONDS))
            reports.append(asyncio.run(run_bots(url, players, SECONDS)))
    return reports


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="casino-bench-") as folder:
        with console.status("starting a casino"):
            started = _casino(folder)
        with started as url:
            reports = _measure(url)
    table = Table(
        "connections", "durable commands/s", "p50 ms", "p99 ms", "p99.9 ms", "events/s", "errors",
        title=f"{os.cpu_count()} cores, {platform.release()}, Python {platform.python_version()};"
        " clients and server on the same machine",
    )  # fmt: skip
    for report in reports:
        latency = report.latency
        table.add_row(
            str(report.players),
            f"{report.commands_per_s:,.0f}",
            f"{latency.p50_ms:.2f}",
            f"{latency.p99_ms:.2f}",
            f"{latency.p999_ms:.2f}",
            f"{report.events_per_s:,.0f}",
            str(sum(report.errors.values())),
        )
    console.print(table)
    return 0 if all(report.ok for report in reports) else 1


if __name__ == "__main__":
    sys.exit(main())
