"""A gateway process, wired: the router, the accounts and the limits that ``gateway`` asks for."""

from __future__ import annotations

from typing import Any

from actors.crash.broadcast import CRASH_STATE
from actors.crash.messages import KIND as CRASH
from actors.crash.messages import table_actor
from deploy.configuration import Configuration
from deploy.rate_limits import SharedRateLimiter
from gateway.counters import Counters
from gateway.dependencies import GatewayDependencies
from gateway.fanout import Fanout
from gateway.limits import Limits
from gateway.listeners import Listeners
from gateway.rate_limit import LocalRateLimiter
from gateway.server import GatewayServer
from gateway.tokens import AccessTokens
from gateway.topics import Topics
from persistence.postgres.accounts import PostgresAccounts
from persistence.redis import WindowCounter
from runtime.behavior import Behavior
from runtime.clock import SystemClock
from runtime.cluster.wiring import MakeRouter


class CasinoGateway:
    """See ``runtime.cluster.wiring.GatewayProcess``."""

    def __init__(self, configuration: Configuration, session: Behavior[Any], make_router: MakeRouter) -> None:
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

        async def has_map() -> str | None:
            return None if router.has_map else "no session host is known yet"

        self._server = GatewayServer(
            GatewayDependencies(
                router=router,
                fanout=fanout,
                topics=topics,
                catalogue=session.commands,
                pushes=session.pushes,
                tokens=AccessTokens(
                    {"1": bytes.fromhex(configuration.secrets["signing"])},
                    "1",
                    clock,
                    lifetime_s=configuration.access_token_lifetime_s,
                ),
                accounts=PostgresAccounts(configuration.dsn),
                rate_limiter=SharedRateLimiter(
                    WindowCounter(
                        configuration.redis_url,
                        "guest_rate",
                        uses_max=configuration.guest_sign_ups_per_minute,
                        window_s=60,
                    ),
                    LocalRateLimiter(
                        clock,
                        burst=configuration.guest_sign_ups_per_minute,
                        per_s=configuration.guest_sign_ups_per_minute / 60,
                    ),
                ),
                limits=limits,
                clock=clock,
                allowed_origins=configuration.allowed_origins,
                guests_enabled=configuration.guests_enabled,
                readiness={"hosts": has_map},
                trusted_proxies=configuration.trusted_proxies,
            )
        )

    async def start(self) -> None:
        await self._server.start(self._configuration.gateway_host, self._configuration.gateway_port)

    async def stop(self) -> None:
        await self._server.stop()

    def status(self) -> dict[str, int]:
        counters = self._server.counters
        return {
            "connections": counters.connections_open,
            "messages": counters.messages_received,
            "events": counters.events_sent,
        }
