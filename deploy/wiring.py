"""Names the concrete adapters: which journal, which gateway, which rules. See ``runtime.cluster.wiring``.

Imports at its head what every process needs. What only one kind of process needs is imported where it is
opened: half of the start of a host, which must be back soon after it was killed, would be FastAPI.
"""

from __future__ import annotations

import gc
import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from actors.catalogue import behaviors
from actors.crash.messages import KIND as CRASH
from actors.crash.messages import table_actor
from deploy.configuration import Configuration
from deploy.logs import set_up_logs
from persistence.postgres.crash_chains import CrashChains
from persistence.postgres.journal import PostgresJournal
from persistence.postgres.membership import PostgresMembership
from persistence.status_board import StatusBoard
from runtime.behavior import Behavior
from runtime.cluster.wiring import GatewayProcess, MakeRouter, Service
from runtime.identity import (
    ActorId,
    Dedicated,
    Packed,
    Placement,
    ShardId,
    dedicated_host_name,
    kind_of,
    shard_of,
)
from runtime.settings import CoordinatorSettings, HostSettings, RouterSettings

if TYPE_CHECKING:
    from deploy.table_hashes import TableHashes

LOGGED_COMMANDS = frozenset({"adjust_gold", "claim_streak", "set_role"})
"""Rare, and asked about later."""


@dataclass(frozen=True)
class CasinoWiring:
    configuration: Configuration

    @property
    def host_settings(self) -> HostSettings:
        return HostSettings(
            lease_s=self.configuration.lease_s,
            passivate_after_s=self.configuration.passivate_after_s,
            logged_commands=LOGGED_COMMANDS,
        )

    @property
    def router_settings(self) -> RouterSettings:
        return RouterSettings()

    @property
    def coordinator_settings(self) -> CoordinatorSettings:
        return CoordinatorSettings()

    @property
    def cluster_secret(self) -> bytes:
        return self.configuration.secrets["cluster"].encode()

    def session_placement_policy(self) -> Placement:
        return (
            Packed(self.configuration.session_shards)
            if self.configuration.session_placement == "packed"
            else Dedicated()
        )

    def behaviors(self) -> list[Behavior[Any]]:
        return self._behaviors(None)

    def _behaviors(self, hashes: TableHashes | None) -> list[Behavior[Any]]:
        known = behaviors(self.configuration.crash_tables, hashes)
        known["session"].placement = self.session_placement_policy()
        return list(known.values())

    async def open_behaviors(self, host_name: str) -> list[Behavior[Any]]:
        for table in self.configuration.crash_tables:
            if host_name == dedicated_host_name(shard_of(table_actor(table), Dedicated())):
                from deploy.table_hashes import TableHashes, key_in

                key = key_in(self.configuration.crash_key_file)
                hashes = TableHashes(CrashChains(self.configuration.dsn), table, key)
                await hashes.load()
                hashes.start()
                return self._behaviors(hashes)
        return self.behaviors()

    def always_on(self) -> dict[str, list[str]]:
        return {CRASH: list(self.configuration.crash_tables)}

    def stream_address(self, host_name: str) -> str:
        if self.configuration.stream == "unix":
            # With the process id, so that a new life never meets the socket of a stopped one.
            return f"unix:{self.configuration.sockets}/{host_name[-24:]}-{os.getpid()}.sock"
        return f"tcp:{self.configuration.stream}:0"

    def set_up_process(self, name: str) -> None:
        placements = {behavior.kind: behavior.placement for behavior in self.behaviors()}

        def shard(actor: ActorId) -> ShardId | None:
            placement = placements.get(kind_of(actor))
            return None if placement is None else shard_of(actor, placement)

        set_up_logs(name, self.configuration.log_level, shard)
        # Sessions and sockets live long and hold no cycles: looking through all of them for garbage
        # after every few hundred allocations costs a tenth of the throughput.
        gc.freeze()
        gc.set_threshold(50_000, 20, 50)
        # Ray's own threads have little to do; let them ask for the interpreter less often.
        sys.setswitchinterval(0.05)

    async def open_journal(self) -> PostgresJournal:
        return PostgresJournal(self.configuration.dsn)

    async def open_membership(self) -> PostgresMembership:
        return PostgresMembership(self.configuration.dsn)

    async def open_status_writer(self) -> StatusBoard:
        return StatusBoard(self.configuration.redis_url)

    async def open_gateway(self, name: str, make_router: MakeRouter) -> GatewayProcess:
        from deploy.gateway_process import CasinoGateway

        session = next(behavior for behavior in self.behaviors() if behavior.kind == "session")
        return CasinoGateway(name, self.configuration, session, make_router)

    def services(self) -> list[str]:
        if not self.configuration.events_relayed:
            return []
        return ["event-relay"] if self.configuration.kafka is None else ["event-relay", "event-sink"]

    async def open_service(self, name: str) -> Service:
        from deploy.event_services import open_event_service

        return open_event_service(name, self.configuration)
