"""What a process of the casino needs to know, in a form that travels to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from actors.crash.round import TableRules


@dataclass(frozen=True)
class Configuration:
    """Settings with every address resolved. Travels by pickle; ``repr`` shows no secret."""

    dsn: str
    redis_url: str
    secrets: Mapping[str, str]
    """``cluster``, ``refresh-key`` and ``invite-key``, as hex."""
    signing_keys: Mapping[str, str]
    """Hex by kid, the first signs; empty: those of ``signing_keys_file``."""
    signing_keys_file: str
    gateway_host: str
    gateway_port: int
    sockets: str
    """Directory for Unix sockets."""
    stream: str
    session_placement: str
    session_shards: int
    lease_s: float
    passivate_after_s: float
    guests_enabled: bool
    guest_sign_ups_per_minute: int
    requests_per_minute_of_user: int
    requests_per_minute_of_address: int
    passwords_per_minute_of_address: int
    access_token_lifetime_s: int
    messages_per_s: float
    allowed_origins: tuple[str, ...]
    trusted_proxies: tuple[str, ...]
    log_level: str
    metrics_host: str
    metrics_port: int | None
    metrics_readers: tuple[str, ...]
    scrape_targets: str
    """Directory where each gateway leaves the address of its metrics."""
    events_relayed: bool
    kafka: str | None
    """Brokers, ``HOST:PORT[,…]``; None: events go to the store without a bus."""
    clickhouse: str
    """A server's URL, or the directory of the embedded store."""
    events_retention_days: int
    crash_tables: Mapping[str, TableRules]
    crash_key_file: str
    """Where the key of the hash chains is, for the processes that play from them. Not the key itself:
    this object travels to gateways, too."""

    def __repr__(self) -> str:
        return f"Configuration(port {self.gateway_port})"
