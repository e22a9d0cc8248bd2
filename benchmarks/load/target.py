"""The server under load: one that is there, or a casino started for the run alone.

Owns finding out that it can be measured at all, and ending what it started.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from clients.sign_in import addresses_of

START_DEADLINE_S = 120.0
_STOP_DEADLINE_S = 90.0
_REACH_S = 5.0
_METRICS_LOOK_S = 0.5
_METRICS_LOOKS = 4
"""In a row that showed the same."""
_METRICS_DEADLINE_S = 30.0
_RAY_TARGETS = "prom_metrics_service_discovery.json"
_LOCAL = ("127.0.0.1", "localhost", "::1")

OWN_SETTINGS = {
    "CASINO_GUEST_SIGN_UPS_PER_MINUTE": "10000000",
    "CASINO_REQUESTS_PER_MINUTE_OF_USER": "10000000",
    "CASINO_REQUESTS_PER_MINUTE_OF_ADDRESS": "10000000",
    "CASINO_MESSAGES_PER_S": "1000000",
}
"""Limits on single users and addresses, of which a load generator has few. All else is as by default."""


class TargetError(Exception):
    """There is no server to be measured. The message says what to do next."""


class Target(msgspec.Struct, kw_only=True):
    """Anything that speaks the protocol's subset that a scenario needs: for ``spin``, a guest's sign-up over
    HTTP, and on the WebSocket ``authenticate`` and ``spin_slots``, each answered by its id."""

    url: str
    name: str
    """What it is, for the reader: ``casino``, ``rowlock``."""
    pid: int | None = None
    """Its topmost process on this machine, whose descendants are the server's too. None: it is looked for
    by the port, or is elsewhere."""
    metrics: list[str] = []
    """Addresses of Prometheus endpoints. None: no figures of commits."""
    data: Path | None = None
    """Where it keeps its data on this machine, whose disk is then probed."""
    settings: dict[str, str] = {}
    """What is not as by default."""
    bare: bool = False
    """It broadcasts to whoever connects; see ``bare_broadcast``."""

    @property
    def is_local(self) -> bool:
        return self.pid is not None or urlsplit(addresses_of(self.url).http).hostname in _LOCAL


async def reach(url: str) -> None:
    """Raises ``TargetError`` when nobody listens at ``url``, or it is no URL."""
    try:
        parts = urlsplit(addresses_of(url).http)
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError as error:
        raise TargetError(f"--url: {error}; try http://127.0.0.1:8000") from None
    try:
        async with asyncio.timeout(_REACH_S):
            _, writer = await asyncio.open_connection(parts.hostname, port)
    except (OSError, TimeoutError) as error:
        raise TargetError(
            f"nobody answers at {parts.hostname}:{port} ({error or 'no connection in time'}): start the "
            "server ('casino up'), correct --url, or leave it out to have a casino started for this run"
        ) from None
    writer.close()


@asynccontextmanager
async def own_casino(environment: dict[str, str] | None = None) -> AsyncIterator[Target]:
    """A casino in a temporary directory, with settings as by default but for ``OWN_SETTINGS`` and
    ``environment``; ended, and its data removed, afterwards.

    Raises:
        TargetError: it did not start, with what it said.
    """
    settings = OWN_SETTINGS | (environment or {})
    port = _free_port()
    with tempfile.TemporaryDirectory(prefix="casino-bench-", ignore_cleanup_errors=True) as folder:
        ray = Path(folder) / "ray"
        process = await asyncio.create_subprocess_exec(
            str(Path(sys.executable).with_name("casino")),
            "up",
            f"--data={folder}/data",
            f"--port={port}",
            f"--dashboard-port={_free_port()}",
            env=os.environ | settings | {"CASINO_RAY_TEMPORARY": str(ray)},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            # Ctrl-C is for the run, which ends the casino itself when the load is gone.
            start_new_session=True,
        )
        drain: asyncio.Task[None] | None = None
        try:
            await _until_ready(process)
            drain = asyncio.create_task(_read_on(process))
            yield Target(
                url=f"http://127.0.0.1:{port}",
                name="casino",
                pid=process.pid,
                metrics=await _settled_metrics(ray),
                data=Path(folder) / "data",
                settings=settings,
            )
        finally:
            if process.returncode is None:
                process.terminate()
            if drain is None:
                drain = asyncio.create_task(_read_on(process))
            try:
                await asyncio.wait_for(process.wait(), _STOP_DEADLINE_S)
            except TimeoutError:
                process.kill()
                await process.wait()
            await drain


def ray_metrics(temporary: Path) -> list[str]:
    """Where Ray exports the metrics of its processes, by the file that it writes for Prometheus."""
    try:
        groups = msgspec.json.decode((temporary / _RAY_TARGETS).read_bytes())
        return [f"http://{address}/metrics" for group in groups for address in group["targets"]]
    except (OSError, msgspec.DecodeError, KeyError, TypeError):
        return []


async def _settled_metrics(temporary: Path) -> list[str]:
    """Ray lists the endpoints of its processes a moment after these have started."""
    listed: list[str] = []
    unchanged = 0
    with suppress(TimeoutError):
        async with asyncio.timeout(_METRICS_DEADLINE_S):
            while unchanged < _METRICS_LOOKS:
                await asyncio.sleep(_METRICS_LOOK_S)
                found = ray_metrics(temporary)
                unchanged = unchanged + 1 if found and found == listed else 0
                listed = found
    return listed


async def _until_ready(process: asyncio.subprocess.Process) -> None:
    assert process.stdout is not None
    said: list[str] = []
    try:
        async with asyncio.timeout(START_DEADLINE_S):
            while line := (await process.stdout.readline()).decode(errors="replace"):
                if line.startswith("ready"):
                    return
                said.append(line)
    except TimeoutError:
        said.append(f"(not ready after {START_DEADLINE_S:.0f} s)")
    raise TargetError("the casino did not start:\n" + "".join(said[-30:]))


async def _read_on(process: asyncio.subprocess.Process) -> None:
    """Nobody may be held up because nobody reads."""
    assert process.stdout is not None
    while await process.stdout.read(65536):
        pass


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
