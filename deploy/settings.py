"""Everything that can be configured, from the environment (``CASINO_…``) or the command line.

One code path for a laptop and a cluster: what differs are addresses.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    IPvAnyNetwork,
    SecretStr,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, SettingsConfigDict


class CrashTable(BaseModel):
    """The rules of one table of Crash. Gold in whole units, times in seconds."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    name: str = Field(pattern=r"^[a-z][a-z0-9-]{0,31}$")
    """For ever: a table's rounds, its chains and its actor go by it."""
    betting_s: float = Field(default=5.0, ge=0.2, le=3600)
    pause_s: float = Field(default=3.0, ge=0.2, le=3600)
    """From the end of a round to the next one's betting."""
    stake_min: int = Field(default=1, ge=1)
    stake_max: int = Field(default=100_000, ge=1, le=10**12)
    liability_max: int = Field(default=1_000_000_000, ge=1, le=10**18)
    """The most gold that the house loses in one round; one that would cost more is ended before."""
    bets_max: int = Field(default=10_000, ge=1, le=1_000_000)
    """Bets in one round."""
    closing: bool = False
    """Play the round under way to its end, take no bets and open no other: before a table is taken out."""

    @model_validator(mode="after")
    def _some_stake_is_allowed(self) -> Self:
        if self.stake_min > self.stake_max:
            raise ValueError(f"stake_min {self.stake_min} is above stake_max {self.stake_max}")
        if self.liability_max < self.stake_min:
            raise ValueError(f"liability_max {self.liability_max} has no room for a single bet")
        return self


class Settings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="CASINO_", extra="forbid")

    data: Path = Path(".casino")
    """Directory of the embedded servers, the secrets and the logs of this instance."""
    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=1, le=65535)
    postgres_dsn: SecretStr | None = None
    """``postgresql://…``; empty starts the embedded server."""
    redis_url: SecretStr | None = None
    """``redis://…``; empty starts the embedded server."""
    kafka: str | None = Field(default=None, pattern=r"^[^\s,:]+:\d+(,[^\s,:]+:\d+)*$")
    """Brokers, ``HOST:PORT[,HOST:PORT…]``. Empty: events go to ClickHouse without a bus."""
    clickhouse_url: SecretStr | None = None
    """``http(s)://user:password@host:port/database``; empty embeds the engine, in the data directory."""
    events_relayed: bool = True
    """Whether events go to Kafka and ClickHouse. Otherwise they stay in the journal, until they do."""
    events_retention_days: int = Field(default=400, ge=2, le=36_500)
    """How long ClickHouse keeps them. The journal keeps all."""
    ray_address: str | None = None
    """Address of a running Ray cluster; empty starts one on this machine."""
    ray_dashboard_port: int | None = Field(default=None, ge=1, le=65535)
    """Empty: 8265, or the next that is free."""
    ray_temporary: Path | None = None
    """Ray's working directory; must be a short path. Empty chooses one for the instance."""
    session_hosts: int = Field(default=2, ge=1, le=1000)
    gateways: int = Field(default=1, ge=1, le=1000)
    session_placement: Literal["packed", "dedicated"] = "packed"
    session_shards: int = Field(default=64, ge=1, le=65536)
    """Fixed for the life of a database."""
    stream: str = "unix"
    """How gateways reach hosts: ``unix``, or the address of this node's interface for TCP."""
    lease_s: float = Field(default=3.0, ge=0.5, le=60)
    passivate_after_s: float = Field(default=300.0, gt=0)
    guests_enabled: bool = True
    guest_sign_ups_per_minute: int = Field(default=6000, ge=1)
    """From one address."""
    requests_per_minute_of_user: int = Field(default=12_000, ge=1)
    """HTTP requests with one user's token."""
    requests_per_minute_of_address: int = Field(default=12_000, ge=1)
    """HTTP requests from one address that need no account."""
    passwords_per_minute_of_address: int = Field(default=30, ge=1)
    """Passwords that are hashed for one address: logins, sign-ups, changes of password, erasures. More, where
    many people share an address."""
    access_token_lifetime_s: int = Field(default=900, ge=60, le=24 * 3600)
    """Guests' too. A client gets the next one with its refresh token."""
    allowed_origins: list[str] = []
    trusted_proxies: list[str] = []
    metrics_host: str = "127.0.0.1"
    """Where each gateway's own ``/metrics`` listens. Whoever reaches it may read it."""
    metrics_port: int | None = Field(default=None, ge=1, le=64000)
    """Of gateway 0; gateway N listens N ports above. Empty: any free ports; ``DIR/prometheus`` says which."""
    metrics_readers: list[IPvAnyNetwork] = []
    """Addresses and networks that ``/metrics`` on the public port answers to, beside loopback."""
    messages_per_s: float = Field(default=2000.0, gt=0)
    """Client messages per connection."""
    cluster_secret: SecretStr | None = None
    """Shared by all nodes; empty generates one in the data directory."""
    signing_keys: dict[str, SecretStr] | None = None
    """Sign and verify access tokens: a JSON object of kids and keys of at least 64 hex characters, the
    first of which signs. Empty keeps them in the data directory, where ``casino keys`` rotates them."""
    signing_key: SecretStr | None = None
    """The same as ``signing_keys`` with only this key, under the kid ``1``."""
    refresh_key: SecretStr | None = None
    """Makes refresh tokens follow from one another, at least 64 hex characters; empty generates one in
    the data directory."""
    crash_tables: list[CrashTable] = Field(default=[CrashTable(name="main")], max_length=100)
    """Each has a process of its own. An empty list: no Crash."""
    crash_chain: Literal["auto", "required"] = "auto"
    """Where a table has no chain: make one, with a random salt, or refuse to start."""
    crash_key: SecretStr | None = None
    """Unmasks the chains of Crash, 64 hex characters; empty generates one in the data directory."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"

    @field_validator("crash_tables")
    @classmethod
    def _names_are_unique(cls, tables: list[CrashTable]) -> list[CrashTable]:
        names = [table.name for table in tables]
        if len(set(names)) < len(names):
            raise ValueError(f"two Crash tables have the same name: {', '.join(names)}")
        return tables
