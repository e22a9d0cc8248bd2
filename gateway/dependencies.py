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
from gateway.lockout import Lockout
from gateway.passwords import Passwords
from gateway.ports import (
    AccountStore,
    Administration,
    AuditLog,
    CredentialStore,
    InviteStore,
    PersonalDataStore,
    PlayerDirectory,
    RateLimiter,
    ReadinessCheck,
    RevocationFeed,
    StatusReader,
)
from gateway.refresh_tokens import RefreshTokens
from gateway.tokens import AccessTokens
from gateway.topics import Topics
from runtime.behavior import CommandSpec, PushSpec
from runtime.clock import Clock, SystemClock
from runtime.routing import ActorRouter


@dataclass(frozen=True)
class FrontDoor:
    """What it takes to let people in."""

    credentials: CredentialStore
    passwords: Passwords
    lockout: Lockout
    refresh_tokens: RefreshTokens


@dataclass(frozen=True)
class BackOffice:
    """What administrators work with, and what a person may ask about themselves."""

    administration: Administration
    players: PlayerDirectory
    invites: InviteStore
    audit_log: AuditLog
    personal_data: PersonalDataStore
    invite_key: bytes
    """At least 32 secret bytes, the same in every gateway: invite codes are derived with it."""


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
    front_door: FrontDoor
    revocation_feed: RevocationFeed | None = None
    """Who was signed out, anywhere. None: tokens are good until they expire."""
    back_office: BackOffice | None = None
    """None: no routes for administration, export and erasure."""
    user_rate: RateLimiter | None = None
    """Counts the HTTP requests of each user. None: no limit."""
    address_rate: RateLimiter | None = None
    """Counts the HTTP requests that need no account, by address. None: no limit."""
    password_rate: RateLimiter | None = None
    """Counts the passwords that are hashed, by address. None: no limit."""
    topics: Topics = field(default_factory=Topics)
    """The same for public actors; names every topic there is. Bound by the server, too."""
    limits: Limits = field(default_factory=Limits)
    clock: Clock = field(default_factory=SystemClock)
    allowed_origins: Sequence[str] = ()
    """Web origins whose pages may connect, by socket or HTTP. Clients that send no Origin are no
    browsers and may."""
    guests_enabled: bool = True
    statuses: StatusReader | None = None
    """What all processes say of themselves. None: no routes that sum it up."""
    metrics_readers: Sequence[str] = ()
    """Addresses and networks, beside loopback, that ``/metrics`` answers to."""
    readiness: Mapping[str, ReadinessCheck] = field(default_factory=dict)
    trusted_proxies: Sequence[str] = ()
    """Addresses whose X-Forwarded-For is believed."""
