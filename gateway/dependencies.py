"""Everything a gateway is built from, in one object. The wiring fills it in.

::

    counters = Counters()
    fanout = Fanout(limits, counters)
    topics = Topics({"crash/main": ActorId("crash/main")}, {"crash": "crash_state"}, limits, counters)
    router = …(listener=Listeners(fanout, topics))
    server = GatewayServer(GatewayDependencies(router=router, fanout=fanout, topics=topics, …))
    await server.start("127.0.0.1", 8000)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from gateway.fanout import Fanout
from gateway.limits import Limits
from gateway.ports import AccountStore, RateLimiter, ReadinessCheck
from gateway.tokens import AccessTokens
from gateway.topics import Topics
from runtime.behavior import CommandSpec, PushSpec
from runtime.clock import Clock, SystemClock
from runtime.routing import ActorRouter


@dataclass(frozen=True)
class GatewayDependencies:
    router: ActorRouter
    fanout: Fanout
    """What the router's listener gives the events of sessions to. The server binds it to the router."""
    catalogue: Mapping[str, CommandSpec]
    """Commands of the session by name; those of the audience ``player`` are offered."""
    pushes: Mapping[str, PushSpec]
    """Events of the session by name."""
    tokens: AccessTokens
    accounts: AccountStore
    rate_limiter: RateLimiter
    """Counts guest sign-ups by address."""
    topics: Topics = field(default_factory=Topics)
    """The same for public actors; names every topic there is. Bound by the server, too."""
    limits: Limits = field(default_factory=Limits)
    clock: Clock = field(default_factory=SystemClock)
    allowed_origins: Sequence[str] = ()
    """Web origins whose pages may connect. Clients that send no Origin are no browsers and may."""
    guests_enabled: bool = True
    readiness: Mapping[str, ReadinessCheck] = field(default_factory=dict)
    trusted_proxies: Sequence[str] = ()
    """Addresses whose X-Forwarded-For is believed."""
