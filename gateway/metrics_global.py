"""``/api/metrics/global`` and ``/api/metrics/stream``: the whole house in a few numbers.

Sums over all processes, from what each said of itself within the last seconds. Totals only, so anybody
may read them: a page may show how many play. What single processes, players or errors do is in the metrics
for operators.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from gateway.dependencies import GatewayDependencies
from gateway.hub import Hub
from gateway.openapi import ASKED, VISITED, problems
from gateway.ports import StatusReader
from gateway.problems import Problem
from gateway.request_limits import visitor_of
from runtime.clock import Clock
from runtime.errors import CommandError

_INTERVAL_S = 1.0
FRESH_MS = 5_000
"""Whoever has not spoken for so long is not there."""

RELAY = "event-relay"
SINK = "event-sink"
"""Names of the processes that move events on."""


class GlobalMetrics(BaseModel):
    at_ms: int
    gateways: int = Field(description="Processes that hold sockets")
    hosts: int = Field(description="Processes that hold sessions and tables")
    connections: int = Field(description="Sockets open")
    activations: int = Field(description="Sessions and tables in memory")
    commands_per_s: float = Field(description="Commands answered, through either door")
    events_per_s: float = Field(description="Events sent to sockets; one that reached two counts twice")
    turns_per_s: float = Field(description="Turns made durable")
    commits_per_s: float
    pending_turns: int = Field(description="Decided, and not durable yet")
    relay_lag_s: float | None = Field(description="How far events are behind the journal; null: no relay")
    sink_lag_s: float | None = Field(description="How far analytics are behind the bus; null: no sink")


class Overview:
    """The latest totals, read at most once in ``_INTERVAL_S`` however many ask."""

    def __init__(self, statuses: StatusReader, clock: Clock) -> None:
        self._statuses = statuses
        self._clock = clock
        self._read: asyncio.Task[dict[str, Mapping[str, Any]]] | None = None
        self._good_until_s = 0.0

    async def living(self) -> dict[str, Mapping[str, Any]]:
        """What each living process said last, by its name. Raises ``runtime.errors.Unavailable``."""
        now_s = self._clock.monotonic()
        if self._read is None or (self._read.done() and now_s >= self._good_until_s):
            self._good_until_s = now_s + _INTERVAL_S / 2
            self._read = asyncio.ensure_future(self._living())
            # Nobody may be left to hear of its failure.
            self._read.add_done_callback(lambda read: read.cancelled() or read.exception())
        return await asyncio.shield(self._read)

    async def _living(self) -> dict[str, Mapping[str, Any]]:
        oldest_ms = self._clock.now_ms() - FRESH_MS
        statuses = await self._statuses.read()
        return {name: said for name, said in statuses.items() if said.get("at_ms", 0) >= oldest_ms}

    async def totals(self) -> GlobalMetrics:
        living = await self.living()
        by_kind: dict[str, list[Mapping[str, Any]]] = {"gateway": [], "host": []}
        for said in living.values():
            by_kind.setdefault(str(said.get("kind")), []).append(said)
        gateways, hosts = by_kind["gateway"], by_kind["host"]
        return GlobalMetrics(
            at_ms=self._clock.now_ms(),
            gateways=len(gateways),
            hosts=len(hosts),
            connections=_sum(gateways, "connections"),
            activations=_sum(hosts, "activations"),
            commands_per_s=round(_sum(gateways, "commands_per_s"), 1),
            events_per_s=round(_sum(gateways, "events_per_s"), 1),
            turns_per_s=round(_sum(hosts, "turns_per_s"), 1),
            commits_per_s=round(_sum(hosts, "commits_per_s"), 1),
            pending_turns=_sum(hosts, "pending_turns"),
            relay_lag_s=_number(living.get(RELAY), "lag_seconds"),
            sink_lag_s=_number(living.get(SINK), "lag_seconds"),
        )


def _sum(statuses: list[Mapping[str, Any]], name: str) -> Any:
    return sum(said.get(name, 0) for said in statuses)


def _number(said: Mapping[str, Any] | None, name: str) -> float | None:
    return None if said is None else said.get(name)


def global_metrics_routes(dependencies: GatewayDependencies, overview: Overview, hub: Hub) -> APIRouter:
    router = APIRouter(prefix="/api/metrics", tags=["operations"])
    visitor = Depends(visitor_of(dependencies))
    streams = 0

    @router.get(
        "/global", summary="The house in numbers", responses=problems(VISITED, ASKED), dependencies=[visitor]
    )
    async def global_metrics() -> GlobalMetrics:
        """Sums over all processes, at most a few seconds old."""
        return await overview.totals()

    async def events() -> AsyncIterator[bytes]:
        while not hub.draining.is_set():
            yield await _event(overview)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_INTERVAL_S):
                    await hub.draining.wait()

    def ended() -> None:
        nonlocal streams
        streams -= 1

    @router.get(
        "/stream",
        summary="The house in numbers, every second",
        response_class=StreamingResponse,
        responses=problems(VISITED, ASKED)
        | {
            200: {
                "description": "Events without end: each one's data is as of `global`.",
                "content": {"text/event-stream": {"schema": {"type": "string"}}},
            }
        },
        dependencies=[visitor],
    )
    async def stream() -> StreamingResponse:
        """Server-sent events. Ends when the gateway does: connect again."""
        nonlocal streams
        if streams >= dependencies.limits.metrics_streams_max:
            detail = "Too many are watching already."
            raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, "overloaded", detail, {"Retry-After": "10"})
        streams += 1
        return _Stream(events(), ended)

    return router


class _Stream(StreamingResponse):
    """``ended`` is called however it ends. A generator that nobody began to read would not say so."""

    def __init__(self, events: AsyncIterator[bytes], ended: Callable[[], None]) -> None:
        super().__init__(events, media_type="text/event-stream")
        self._ended = ended

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._ended()


async def _event(overview: Overview) -> bytes:
    try:
        return f"data: {(await overview.totals()).model_dump_json()}\n\n".encode()
    except CommandError:
        # A comment: the connection is fine, and who waits knows that there is nothing to know.
        return b": unavailable\n\n"
