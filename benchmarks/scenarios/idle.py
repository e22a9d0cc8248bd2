"""``idle``: connections that are open and silent, and what each costs the server."""

from __future__ import annotations

import asyncio

import msgspec

from benchmarks.lean_connection import LeanConnection
from benchmarks.load.generator import Load, LoadCrowd
from benchmarks.options import LoadOptions
from benchmarks.player import ErrorData, InFlight, Player
from benchmarks.scenarios.scenario import Figure, Observation, Scenario
from clients.token_keeper import TokenKeeper


class IdlePlayer(Player):
    """One connection, from its arrival on."""

    def __init__(self, load: Load, crowd: LoadCrowd[IdlePlayer], tokens: TokenKeeper, id_prefix: str) -> None:
        super().__init__(crowd.sync_url, tokens, id_prefix, crowd.measurements, crowd.counter)
        self.intended_ns = 0
        self._load = load
        self._is_open = False

    def _on_begin(self, connection: LeanConnection) -> None:
        if not self._is_open:
            self._is_open = True
            self._load.answered("connect", self.intended_ns)

    def _leave(self) -> None:
        super()._leave()
        if not self._is_open:
            self._load.failed("not_connected", self.intended_ns)

    def _on_result(self, command_id: str, waiting: InFlight, data: msgspec.Raw) -> None:
        """It has no commands."""

    def _on_error(self, command_id: str, waiting: InFlight, error: ErrorData) -> None:
        """It has no commands."""


class IdleLoad(Load):
    """Some connections share a guest, so that what is measured is the connection and not the session."""

    def __init__(self, options: LoadOptions) -> None:
        self._players = LoadCrowd(options, self._new_player)
        super().__init__(options, self._players)
        self._accounts: list[TokenKeeper] = []
        self._entered = 0

    async def gather(self) -> None:
        guests = -(-self.options.players // self.options.connections_per_guest)
        self._accounts = await asyncio.gather(*(self._players.sign_up() for _ in range(guests)))

    def arrive(self, intended_ns: int) -> None:
        number, self._entered = self._entered, self._entered + 1
        guest = number // self.options.connections_per_guest
        player = self._players.enter(self._accounts[guest % len(self._accounts)])
        player.intended_ns = intended_ns

    def _new_player(self, crowd: LoadCrowd[IdlePlayer], tokens: TokenKeeper, id_prefix: str) -> IdlePlayer:
        return IdlePlayer(self, crowd, tokens, id_prefix)


def _conclude(seen: Observation) -> dict[str, float]:
    def grown(role: str) -> int:
        return seen.memory_after[role] - seen.memory_before.get(role, 0)

    total = sum(grown(role) for role in seen.memory_after)
    figures = {"connection_bytes": total / seen.connections}
    if "gateway" in seen.memory_after:
        figures["gateway_connection_bytes"] = grown("gateway") / seen.connections
    if seen.idle_cpu_share is not None:
        figures["idle_cpu_share"] = seen.idle_cpu_share
        figures["idle_cpu_us"] = seen.idle_cpu_share * 1e6 / seen.connections
    return figures


SCENARIO = Scenario(
    name="idle",
    summary="connections opened at a rate, then held: what each costs in memory and CPU",
    measured="Connections are opened at the given rate and then held, silent, for the duration. A latency is "
    "the time from when a connection was due to its authentication: TCP, WebSocket handshake, token. Ten "
    "connections share one guest.",
    load=IdleLoad,
    kinds=("connect",),
    arrival="connections",
    connections=1000,
    rate=200.0,
    warm_up_s=0.0,
    holds=True,
    figures=(
        Figure("connection_bytes", "B", "private memory of all server processes, per connection"),
        Figure("gateway_connection_bytes", "B", "of that, the gateway's"),
        Figure("idle_cpu_share", "cores", "the server's CPU while all connections are held"),
        Figure("idle_cpu_us", "µs/s", "of that, per connection"),
    ),
    conclude=_conclude,
)
