"""Everything that can be configured, from the environment (``CASINO_…``) or the command line.

One code path for a laptop and a cluster: what differs are addresses.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


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
    access_token_lifetime_s: int = Field(default=24 * 3600, ge=60)
    allowed_origins: list[str] = []
    trusted_proxies: list[str] = []
    messages_per_s: float = Field(default=2000.0, gt=0)
    """Client messages per connection."""
    cluster_secret: SecretStr | None = None
    """Shared by all nodes; empty generates one in the data directory."""
    signing_key: SecretStr | None = None
    """Signs access tokens; empty generates one in the data directory."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
