"""A gateway process, wired: the router, the accounts and the limits that ``gateway`` asks for."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from actors.crash.broadcast import CRASH_STATE
from actors.crash.messages import KIND as CRASH
from actors.crash.messages import table_actor
from deploy.back_office import back_office
from deploy.configuration import Configuration
from deploy.front_door import SigningKeys, front_door
from deploy.key_ring import KeyFile
from deploy.rate_limits import SharedRateLimiter
from deploy.scraping import announce, metrics_port, withdraw
from deploy.statuses import Statuses
from gateway.counters import Counters
from gateway.dependencies import GatewayDependencies
from gateway.fanout import Fanout
from gateway.limits import Limits
from gateway.listeners import Listeners
from gateway.metrics import GatewayMetrics
from gateway.metrics_listener import MetricsListener
from gateway.rate_limit import LocalRateLimiter
from gateway.server import GatewayServer
from gateway.tokens import AccessTokens
from gateway.topics import Topics
from persistence.postgres.account_stores import AccountStores
from persistence.redis import WindowCounter
from persistence.status_board import StatusBoard
from runtime.behavior import Behavior
from runtime.clock import Clock, SystemClock
from runtime.cluster.reporter import Figures, Reporter
from runtime.cluster.wiring import MakeRouter


class CasinoGateway:
    """See ``runtime.cluster.wiring.GatewayProcess``."""

    def __init__(
        self, name: str, configuration: Configuration, session: Behavior[Any], make_router: MakeRouter
    ) -> None:
        self._name = name
        self._configuration = configuration
        clock = SystemClock()
        limits = Limits(
            messages_per_s=configuration.messages_per_s, messages_burst=int(2 * configuration.messages_per_s)
        )
        counters = Counters()
        fanout = Fanout(limits, counters)
        tables = {str(actor): actor for actor in map(table_actor, configuration.crash_tables)}
        topics = Topics(tables, {CRASH: CRASH_STATE}, limits, counters)
        router = make_router(Listeners(fanout, topics))
        # Connections of their own: no flood of sign-ins or exports may hold up a ban.
        self._stores = AccountStores(configuration.dsn)
        self._office_stores = AccountStores(configuration.dsn, connections_max=2, name="casino-back-office")
        self._revocation_stores = AccountStores(
            configuration.dsn, connections_max=1, name="casino-revocations"
        )
        self._keys = SigningKeys(
            configuration.signing_keys, KeyFile(Path(configuration.signing_keys_file)), clock
        )

        board = StatusBoard(configuration.redis_url)
        self._reporter = Reporter(name, "gateway", partial(_figures, counters), board, clock)
        self._metrics = MetricsListener(GatewayMetrics(counters))

        async def has_map() -> str | None:
            return None if router.has_map else "no session host is known yet"

        self._server = GatewayServer(
            GatewayDependencies(
                router=router,
                fanout=fanout,
                topics=topics,
                catalogue=session.commands,
                pushes=session.pushes,
                tokens=AccessTokens(self._keys.ring, clock, configuration.access_token_lifetime_s),
                accounts=self._stores.accounts,
                rate_limiter=_per_minute(
                    configuration, clock, "guest_rate", configuration.guest_sign_ups_per_minute
                ),
                front_door=front_door(
                    self._stores, configuration.redis_url, configuration.secrets["refresh-key"]
                ),
                revocation_feed=self._revocation_stores.revocations,
                back_office=back_office(self._office_stores, configuration.secrets["invite-key"]),
                user_rate=_per_minute(
                    configuration, clock, "user_rate", configuration.requests_per_minute_of_user
                ),
                address_rate=_per_minute(
                    configuration, clock, "address_rate", configuration.requests_per_minute_of_address
                ),
                password_rate=_per_minute(
                    configuration, clock, "password_rate", configuration.passwords_per_minute_of_address
                ),
                limits=limits,
                clock=clock,
                allowed_origins=configuration.allowed_origins,
                guests_enabled=configuration.guests_enabled,
                readiness={"hosts": has_map},
                statuses=Statuses(board),
                metrics_readers=configuration.metrics_readers,
                trusted_proxies=configuration.trusted_proxies,
            )
        )

    async def start(self) -> None:
        self._keys.start()
        configuration = self._configuration
        await self._server.start(configuration.gateway_host, configuration.gateway_port)
        await self._metrics.start(
            configuration.metrics_host, metrics_port(configuration.metrics_port, self._name)
        )
        self._reporter.start()
        announce(
            Path(configuration.scrape_targets), self._name, configuration.metrics_host, self._metrics.port
        )

    async def stop(self) -> None:
        await self._server.stop()
        withdraw(Path(self._configuration.scrape_targets), self._name)
        await self._metrics.stop()
        await self._reporter.stop()
        await self._keys.stop()
        for stores in (self._stores, self._office_stores, self._revocation_stores):
            await stores.close()

    def status(self) -> dict[str, int]:
        counters = self._server.counters
        return {
            "connections": counters.connections_open,
            "messages": counters.messages_received,
            "events": counters.events_sent,
        }


def _figures(counters: Counters) -> Figures:
    failed = sum(counters.commands_failed.values())
    return {
        "connections": counters.connections_open,
        "commands_total": sum(counters.commands_done.values()) + failed,
        "events_total": counters.events_sent + counters.topic_events_sent,
        "requests_total": sum(counters.requests.values()),
    }


def _per_minute(configuration: Configuration, clock: Clock, area: str, uses_max: int) -> SharedRateLimiter:
    return SharedRateLimiter(
        WindowCounter(configuration.redis_url, area, uses_max=uses_max, window_s=60),
        LocalRateLimiter(clock, burst=uses_max, per_s=uses_max / 60),
    )
