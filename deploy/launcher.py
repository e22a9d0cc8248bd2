"""``casino up``: starts everything in order, watches over it, and stops it in the opposite order."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import signal
import socket
from collections.abc import AsyncIterator, Callable

import httpx

from actors.crash.round import TableRules
from deploy.configuration import Configuration
from deploy.crash_chains import prepare_tables
from deploy.instance import Instance, RunState
from deploy.key_ring import FILE_NAME, KeyFile, KeyFileError, given_keys
from deploy.leftovers import clear_leftovers
from deploy.scraping import follow_ray, prepare_scraping, targets_in
from deploy.settings import CrashTable, Settings
from deploy.wiring import CasinoWiring
from persistence.embedded.postgres import EmbeddedPostgres
from persistence.embedded.process import EmbeddedServerError
from persistence.embedded.valkey import EmbeddedValkey
from persistence.kafka.topics import KafkaUnavailable, ensure_topics
from persistence.postgres.crash_chains import ChainError
from persistence.postgres.durability import check_durability
from persistence.postgres.membership import PostgresMembership
from persistence.postgres.migrate import migrate
from runtime.clock import SystemClock
from runtime.journal import Desired, Membership

READY_DEADLINE_S = 90.0
PORT_PATIENCE_S = 2.0
"""A gateway that was killed a moment ago may still be letting go of its port."""

KAFKA_PATIENCE_S = 5.0

Report = Callable[[str], None]


class LaunchError(RuntimeError):
    """The casino could not be started. The message says what to do."""


class Launcher:
    """Runs one instance. ``report`` is told what is being done, ``notice`` what the operator should
    know afterwards as well; left out, ``report`` is told that, too."""

    def __init__(
        self, settings: Settings, instance: Instance, report: Report, notice: Report | None = None
    ) -> None:
        self._settings = settings
        self._instance = instance
        self._report = report
        self._notice = notice or report
        self._temporary = settings.ray_temporary or instance.runtime / "ray"
        self._ended = asyncio.Event()
        self._failure: Exception | None = None
        self.state: RunState | None = None

    async def run(self, on_ready: Callable[[RunState], None]) -> None:
        """Start, serve until told to stop by a signal, stop.

        Raises:
            LaunchError: something could not be started, or died for good.
        """
        self._instance.prepare()
        self._keep_crash_key()
        forget_secrets_of_environment()
        self._instance.lock()
        self._listen_to_signals()
        await asyncio.to_thread(clear_leftovers, self._temporary)
        await self._check_ports()
        async with contextlib.AsyncExitStack() as stack:
            await self._serve(stack, on_ready)
        if self._failure is not None:
            raise LaunchError(str(self._failure))

    async def _serve(self, stack: contextlib.AsyncExitStack, on_ready: Callable[[RunState], None]) -> None:
        dsn = await stack.enter_async_context(self._postgres())
        if self._ended.is_set():
            return
        redis_url = await stack.enter_async_context(self._valkey())
        if self._ended.is_set():
            return
        stack.callback(self._instance.clear_state)
        await self._look_for_kafka()
        addresses = await stack.enter_async_context(self._cluster(dsn, redis_url))
        if self._ended.is_set():
            return
        settings = self._settings
        self.state = RunState(
            pid=os.getpid(),
            url=f"http://{settings.host}:{settings.port}",
            dsn=dsn,
            redis_url=redis_url,
            dashboard=addresses[0],
            ray_address=addresses[1],
        )
        self._instance.write_state(self.state)
        on_ready(self.state)
        await self._ended.wait()
        self._report("stopping")

    async def _check_ports(self) -> None:
        """Gateways share their port among themselves (SO_REUSEPORT), so they would share it with
        those of another casino, too. On a cluster that runs they may be there already, rightly."""
        settings = self._settings
        if settings.ray_address is None:
            await check_port(settings.host, settings.port, "--port")
            if settings.ray_dashboard_port is not None:
                await check_port("127.0.0.1", settings.ray_dashboard_port, "--dashboard-port")

    async def _look_for_kafka(self) -> None:
        if self._settings.kafka is not None and self._settings.events_relayed:
            self._report("looking for Kafka")
            try:
                await ensure_topics(self._settings.kafka, timeout_s=KAFKA_PATIENCE_S)
            except KafkaUnavailable as error:
                self._notice(f"{error} Until then play goes on, and events wait in the journal.")

    def _listen_to_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self._ended.set)

    def _failed(self, error: EmbeddedServerError) -> None:
        self._failure = error
        self._loop.call_soon_threadsafe(self._ended.set)

    @contextlib.asynccontextmanager
    async def _postgres(self) -> AsyncIterator[str]:
        self._loop = asyncio.get_running_loop()
        given = self._settings.postgres_dsn
        server = None
        if given is not None:
            dsn = given.get_secret_value()
        else:
            self._report("starting Postgres")
            server = EmbeddedPostgres(self._instance.data, on_failure=self._failed)
            dsn = await started(server)
        try:
            self._report("migrating the database")
            await migrate(dsn)
            await check_durability(dsn)
            await self._prepare_crash(dsn)
            yield dsn
        finally:
            if server is not None:
                self._report("stopping Postgres")
                await asyncio.to_thread(server.stop)

    async def _prepare_crash(self, dsn: str) -> None:
        try:
            await prepare_tables(self._settings, self._instance, dsn, self._report, self._notice)
        except ChainError as error:
            raise LaunchError(str(error)) from error

    @contextlib.asynccontextmanager
    async def _valkey(self) -> AsyncIterator[str]:
        given = self._settings.redis_url
        if given is not None:
            yield given.get_secret_value()
            return
        self._report("starting Valkey")
        server = EmbeddedValkey(self._instance.data, on_failure=self._failed)
        url = await started(server)
        try:
            yield url
        finally:
            await asyncio.to_thread(server.stop)

    @contextlib.asynccontextmanager
    async def _cluster(self, dsn: str, redis_url: str) -> AsyncIterator[tuple[str, str]]:
        settings = self._settings
        membership = PostgresMembership(dsn)
        hosts = settings.session_hosts if settings.session_placement == "packed" else 0
        await membership.set_desired(Desired(hosts, settings.gateways))
        await self._fence_the_gone(membership)
        for old in self._instance.runtime.glob("*.sock"):
            old.unlink(missing_ok=True)
        self._report("starting Ray (this takes a few seconds)")
        prepare_ray_environment(self._instance)
        # Ray reads its environment when it is imported, so not before now.
        from runtime.cluster import bootstrap

        if settings.ray_address is not None:
            addresses = await asyncio.to_thread(bootstrap.join, settings.ray_address)
        else:
            cpus = max(2, os.cpu_count() or 2)
            addresses = bootstrap.start_local(self._temporary, settings.ray_dashboard_port, cpus)
        # Ray has put its own handler for SIGTERM in place.
        self._listen_to_signals()
        try:
            prepare_scraping(self._instance.data)
            if settings.ray_address is None:
                follow_ray(self._instance.data, self._temporary)
            self._report("starting session hosts and gateways")
            bootstrap.start_coordinator(self._wiring(dsn, redis_url))
            await self._until_ready()
            yield addresses.dashboard, addresses.ray
        finally:
            self._report("draining")
            await bootstrap.drain()
            self._report("stopping Ray")
            await asyncio.to_thread(bootstrap.stop)
            await asyncio.to_thread(clear_leftovers, self._temporary)
            await membership.close()

    async def _fence_the_gone(self, membership: Membership) -> None:
        """Where database and Ray are this instance's alone, no host of an earlier life is alive, but
        its lease may have seconds to run, and its shards would wait for that."""
        if self._settings.postgres_dsn is not None or self._settings.ray_address is not None:
            return
        gone = [host for host in await membership.hosts() if not host.fenced]
        if gone:
            self._report(f"fencing what an earlier run left: {', '.join(host.name for host in gone)}")
        for host in gone:
            await membership.fence(host.incarnation)

    def _wiring(self, dsn: str, redis_url: str) -> CasinoWiring:
        settings, instance = self._settings, self._instance
        cluster, refresh = settings.cluster_secret, settings.refresh_key
        keys = KeyFile(instance.data / "secrets" / FILE_NAME)
        try:
            keys.prepare(SystemClock().now_ms())
        except KeyFileError as error:
            raise LaunchError(f"{error}: restore it, or remove it to sign everybody out") from error
        configuration = Configuration(
            dsn=dsn,
            redis_url=redis_url,
            secrets={
                "cluster": cluster.get_secret_value() if cluster else instance.secret("cluster"),
                "refresh-key": refresh.get_secret_value() if refresh else instance.secret("refresh-key"),
                "invite-key": instance.secret("invite-key"),
            },
            signing_keys=given_keys(settings),
            signing_keys_file=str(keys.path),
            gateway_host=settings.host,
            gateway_port=settings.port,
            sockets=str(instance.runtime),
            stream=settings.stream,
            session_placement=settings.session_placement,
            session_shards=settings.session_shards,
            lease_s=settings.lease_s,
            passivate_after_s=settings.passivate_after_s,
            guests_enabled=settings.guests_enabled,
            guest_sign_ups_per_minute=settings.guest_sign_ups_per_minute,
            requests_per_minute_of_user=settings.requests_per_minute_of_user,
            requests_per_minute_of_address=settings.requests_per_minute_of_address,
            passwords_per_minute_of_address=settings.passwords_per_minute_of_address,
            access_token_lifetime_s=settings.access_token_lifetime_s,
            messages_per_s=settings.messages_per_s,
            allowed_origins=tuple(settings.allowed_origins),
            trusted_proxies=tuple(settings.trusted_proxies),
            log_level=settings.log_level,
            metrics_host=settings.metrics_host,
            metrics_port=settings.metrics_port,
            metrics_readers=tuple(map(str, settings.metrics_readers)),
            scrape_targets=str(targets_in(instance.data)),
            events_relayed=settings.events_relayed,
            kafka=settings.kafka,
            clickhouse=(
                settings.clickhouse_url.get_secret_value()
                if settings.clickhouse_url
                else str(instance.data / "clickhouse")
            ),
            events_retention_days=settings.events_retention_days,
            crash_tables={table.name: rules_of(table) for table in settings.crash_tables},
            crash_key_file=str(self._instance.data / "secrets" / "crash-key"),
        )
        return CasinoWiring(configuration)

    def _keep_crash_key(self) -> None:
        """A key given by the environment moves into the file where tables look for it: none but a table
        must have it."""
        given = self._settings.crash_key
        if given is not None:
            self._instance.keep_secret("crash-key", given.get_secret_value())

    async def _until_ready(self) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + READY_DEADLINE_S
        url = f"http://{self._settings.host}:{self._settings.port}/readyz"
        async with httpx.AsyncClient(timeout=2.0, trust_env=False) as client:
            while not self._ended.is_set():
                with contextlib.suppress(httpx.HTTPError):
                    if (await client.get(url)).status_code == 200:
                        return
                if loop.time() > deadline:
                    raise LaunchError(
                        f"{url} did not become ready within {READY_DEADLINE_S:.0f} s: is the port free? "
                        f"Look at the logs in {self._instance.runtime / 'ray/session_latest/logs'}"
                    )
                await asyncio.sleep(0.1)


def rules_of(table: CrashTable) -> TableRules:
    return TableRules(
        betting_ms=round(1000 * table.betting_s),
        pause_ms=round(1000 * table.pause_s),
        stake_min=table.stake_min,
        stake_max=table.stake_max,
        liability_max=table.liability_max,
        bets_max=table.bets_max,
        is_closing=table.closing,
    )


async def started(server: EmbeddedPostgres | EmbeddedValkey) -> str:
    """Start a server in a thread; returns its address. Nothing can interrupt the thread: whoever is
    cancelled meanwhile waits for it, and stops the server."""
    starting = asyncio.ensure_future(asyncio.to_thread(server.start))
    try:
        return await asyncio.shield(starting)
    except asyncio.CancelledError:
        try:
            await asyncio.wait([starting])
        finally:
            await asyncio.to_thread(server.stop)
        raise


async def check_port(host: str, port: int, option: str) -> None:
    """Raises :class:`LaunchError` when nobody can listen there, or somebody already does."""
    loop = asyncio.get_running_loop()
    deadline_s = loop.time() + PORT_PATIENCE_S
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    while True:
        try:
            with socket.socket(family, socket.SOCK_STREAM) as probe:
                # What clients left behind does not matter, who listens does; hence no SO_REUSEPORT.
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind((host, port))
            return
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise LaunchError(f"cannot listen on {host}, port {port}: {error.strerror}") from None
            if loop.time() >= deadline_s:
                raise LaunchError(
                    f"port {port} is in use on {host}, perhaps by another casino; "
                    f"choose another with {option}"
                ) from None
        await asyncio.sleep(0.1)


def forget_secrets_of_environment() -> None:
    """They have become settings. The environment goes to every process that is started from here, the
    servers and the hosts among them; those that need a secret get it with their configuration."""
    fields = Settings.model_fields.items()
    secret = {f"CASINO_{name.upper()}" for name, field in fields if "SecretStr" in str(field.annotation)}
    # Settings are found whatever the case of their names.
    for name in [name for name in os.environ if name.upper() in secret]:
        del os.environ[name]


def prepare_ray_environment(instance: Instance) -> None:
    """Settings that Ray takes from the environment alone. To be called before Ray is imported."""
    os.environ |= {
        # Whoever reaches a Ray port can run code, so nobody gets in without the token.
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(instance.secret_path("ray-token")),
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_worker_niceness": "0",
        "RAY_EXPORT_COUNTER_AS_GAUGE": "0",
        # What metrics show is at most so old, and a process that has died is gone after twice that.
        "RAY_metrics_report_interval_ms": "5000",
        "RAY_USE_UVLOOP": "1",
    }
