"""A gateway process, wired: the router, the accounts and the limits that ``gateway`` asks for."""

from __future__ import annotations

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
from gateway.counters import Counters
from gateway.dependencies import GatewayDependencies
from gateway.fanout import Fanout
from gateway.limits import Limits
from gateway.listeners import Listeners
from gateway.rate_limit import LocalRateLimiter
from gateway.server import GatewayServer
from gateway.tokens import AccessTokens
from gateway.topics import Topics
from persistence.postgres.account_stores import AccountStores
from persistence.redis import WindowCounter
from runtime.behavior import Behavior
from runtime.clock import Clock, SystemClock
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
        # Connections of their own: no flood of sign-ins or exports may hold up a ban.
        self._stores = AccountStores(configuration.dsn)
        self._office_stores = AccountStores(configuration.dsn, connections_max=2, name="casino-back-office")
        self._revocation_stores = AccountStores(
            configuration.dsn, connections_max=1, name="casino-revocations"
        )
        self._keys = SigningKeys(
            configuration.signing_keys, KeyFile(Path(configuration.signing_keys_file)), clock
        )

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
                limits=limits,
                clock=clock,
                allowed_origins=configuration.allowed_origins,
                guests_enabled=configuration.guests_enabled,
                readiness={"hosts": has_map},
                trusted_proxies=configuration.trusted_proxies,
            )
        )

    async def start(self) -> None:
        self._keys.start()
        await self._server.start(self._configuration.gateway_host, self._configuration.gateway_port)

    async def stop(self) -> None:
        await self._server.stop()
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


def _per_minute(configuration: Configuration, clock: Clock, area: str, uses_max: int) -> SharedRateLimiter:
    return SharedRateLimiter(
        WindowCounter(configuration.redis_url, area, uses_max=uses_max, window_s=60),
        LocalRateLimiter(clock, burst=uses_max, per_s=uses_max / 60),
    )
