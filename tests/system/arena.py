"""A whole casino as a user starts it, in processes of its own, and ways to hurt it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
import psutil

from deploy.instance import Instance
from runtime.turn import decode_body
from tests.ports import free_port

CASINO = Path(sys.executable).with_name("casino")
START_DEADLINE_S = 120.0
THINK_S = float(os.environ.get("CASINO_BOTS_THINK", "0.05"))
"""Pause of each bot between two commands; with 0 they play as fast as the machine can, and whatever else
is tested beside them waits."""


class Arena:
    """``environment`` are settings as an operator would export them (``CASINO_…``)."""

    def __init__(self, data: Path, **environment: str) -> None:
        self.instance = Instance(data)
        self.data = data
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._dashboard_port = free_port()
        self._environment = os.environ | environment
        self.process: subprocess.Popen[bytes] | None = None
        self.log = data.parent / f"{data.name}-up.log"

    def command(self, *arguments: str) -> list[str]:
        return [str(CASINO), *arguments, "--data", str(self.data)]

    def run(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run another command of ``casino`` on this instance."""
        done = subprocess.run(
            self.command(*arguments), env=self._environment, capture_output=True, text=True, timeout=180,
            check=False,
        )  # fmt: skip
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done

    def up(self) -> None:
        with self.log.open("ab") as log:
            start = log.tell()
            self.process = subprocess.Popen(
                [
                    *self.command("up"),
                    f"--port={self.port}",
                    f"--dashboard-port={self._dashboard_port}",
                ],
                env=self._environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_DEADLINE_S
        while True:
            said = self.log.read_bytes()[start:].decode(errors="replace")
            if f"\nready {self.url}" in said:
                return
            assert self.process.poll() is None, said
            assert time.monotonic() < deadline, said
            time.sleep(0.1)

    def interrupt(self) -> int:
        """Ctrl-C, as a terminal sends it: to the whole process group. Returns the exit status."""
        assert self.process is not None
        os.killpg(self.process.pid, signal.SIGINT)
        return self.process.wait(90)

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(90)
            except subprocess.TimeoutExpired:
                self.kill_everything()
        self.process = None

    def processes(self) -> list[psutil.Process]:
        """Everything that belongs to this instance, by ancestry and by command line."""
        marks = (str(self.data), str(self.instance.runtime))
        found: dict[int, psutil.Process] = {}
        for process in psutil.process_iter(["cmdline"]):
            command = " ".join(process.info["cmdline"] or [])
            if process.pid != os.getpid() and any(mark in command for mark in marks):
                with contextlib.suppress(psutil.NoSuchProcess):
                    for member in (process, *process.children(recursive=True)):
                        found[member.pid] = member
        return [p for p in found.values() if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]

    def actors(self, name: str) -> list[psutil.Process]:
        """The Ray actors of a class, by their process title."""
        return sorted(
            (p for p in self.processes() if f"ray::{name}" in " ".join(_command(p))),
            key=lambda process: process.pid,
        )

    def hosts(self, name: str) -> list[psutil.Process]:
        """The processes of hosts whose names begin like this, by the sockets that they listen on: the
        title of a process says what it is doing rather than which one it is."""
        found = []
        for path in self.instance.runtime.glob(f"{name}*.sock"):
            with contextlib.suppress(psutil.NoSuchProcess):
                process = psutil.Process(int(path.stem.rpartition("-")[2]))
                if process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
        return sorted(found, key=lambda process: process.pid)

    def kill(self, name: str, index: int = 0) -> None:
        """``kill -9`` one of the actors of a class."""
        victims = self.actors(name)
        if victims:
            victims[index % len(victims)].kill()

    def kill_everything(self) -> None:
        """``kill -9`` of every process there is, Postgres included, in no particular order."""
        victims = self.processes()
        for victim in victims:
            with contextlib.suppress(psutil.NoSuchProcess):
                victim.kill()
        psutil.wait_procs(victims, timeout=20)
        if self.process is not None:
            self.process.wait(20)
            self.process = None

    @property
    def dsn(self) -> str:
        return self._environment.get("CASINO_POSTGRES_DSN") or self.instance.state().dsn

    async def turns(self, dsn: str | None = None) -> list[tuple[str, str, dict[str, Any]]]:
        """Every turn of every session, as (user, command id, reply), in the order of the journal."""
        connection = await asyncpg.connect(dsn or self.dsn)
        try:
            rows = await connection.fetch(
                "SELECT actor, command_id, body FROM journal WHERE actor LIKE 'session/%' ORDER BY actor, seq"
            )
        finally:
            await connection.close()
        return [
            (
                row["actor"].partition("/")[2],
                row["command_id"],
                msgspec.msgpack.decode(decode_body(row["body"]).reply),
            )
            for row in rows
        ]

    def audit(self) -> dict[str, Any]:
        done = self.run("audit", "--json", check=False)
        report: dict[str, Any] = msgspec.json.decode(done.stdout)
        assert done.returncode == 0, done.stdout
        return report

    def status(self) -> dict[str, Any]:
        report: dict[str, Any] = msgspec.json.decode(self.run("status", "--json", check=False).stdout)
        return report

    @contextlib.asynccontextmanager
    async def bots(self, players: int, duration_s: float, **options: Any) -> AsyncIterator[asyncio.Task[Any]]:
        """Bots that play in a process of their own. The body runs once the first of them was answered; the
        task has their report."""
        options = {"think": THINK_S, **options}
        log = self.data.parent / f"bots-{time.monotonic_ns()}.jsonl"
        # An option of 0 is one that is not given.
        arguments = [f"--{name.replace('_', '-')}={value}" for name, value in options.items() if value]
        process = await asyncio.create_subprocess_exec(
            str(CASINO), "bots", f"--players={players}", f"--duration={duration_s}s", f"--url={self.url}",
            f"--log={log}", "--json", *arguments,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip

        async def finish() -> Any:
            out, err = await process.communicate()
            assert out, err.decode()
            return BotRun(log, msgspec.json.decode(out), process.returncode or 0, err.decode())

        task = asyncio.create_task(finish())
        try:
            # Against a casino that hangs they give up by themselves.
            while not task.done() and not (log.exists() and b'"ack"' in log.read_bytes()):
                await asyncio.sleep(0.05)
            yield task
        finally:
            if not task.done() and process.returncode is None:
                await task


class BotRun(msgspec.Struct):
    log: Path
    report: dict[str, Any]
    status: int
    said: str


def _command(process: psutil.Process) -> list[str]:
    try:
        command: list[str] = process.cmdline()
        return command
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return []


@contextlib.contextmanager
def running(data: Path, **environment: str) -> Iterator[Arena]:
    arena = Arena(data, **environment)
    try:
        arena.up()
        yield arena
    finally:
        arena.stop()
        left = arena.processes()
        arena.kill_everything()
        assert not left, f"left behind: {[p.cmdline() for p in left]}"
