"""Everything a gateway is built from, in one object. The wiring fills it in.

::

    fanout = Fanout(limits)
    router = …(listener=fanout)
    server = GatewayServer(GatewayDependencies(router=router, fanout=fanout, …))
    await server.start("127.0.0.1", 8000)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from gateway.fanout import Fanout
from gateway.limits import Limits
from gateway.ports import AccountStore, RateLimiter, ReadinessCheck
from gateway.tokens import AccessTokens
from runtime.behavior import CommandSpec, PushSpec
from runtime.clock import Clock, SystemClock
from runtime.routing import ActorRouter


@dataclass(frozen=True)
class GatewayDependencies:
    router: ActorRouter
    fanout: Fanout
    """The router's listener. The server binds it to the router."""
    catalogue: Mapping[str, CommandSpec]
    """Commands of the session by name; those of the audience ``player`` are offered."""
    pushes: Mapping[str, PushSpec]
    """Events of the session by name."""
    tokens: AccessTokens
    accounts: AccountStore
    rate_limiter: RateLimiter
    """Counts guest sign-ups by address."""
    limits: Limits = field(default_factory=Limits)
    clock: Clock = field(default_factory=SystemClock)
    allowed_origins: Sequence[str] = ()
    """Web origins whose pages may connect. Clients that send no Origin are no browsers and may."""
    guests_enabled: bool = True
    readiness: Mapping[str, ReadinessCheck] = field(default_factory=dict)
    trusted_proxies: Sequence[str] = ()
    """Addresses whose X-Forwarded-For is believed."""
