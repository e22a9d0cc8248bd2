"""The house in numbers: sums over those who are alive, once for everybody, until the gateway ends."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import httpx

from gateway.app import create_app
from gateway.hub import Hub
from gateway.limits import Limits
from gateway.metrics_global import FRESH_MS
from runtime.errors import Unavailable
from tests.unit.gateway.fakes import RECORDED_MS, FakeClock, dependencies

BOARD: dict[str, dict[str, Any]] = {
    "gateway-0": {"kind": "gateway", "connections": 7, "commands_per_s": 10.5, "events_per_s": 30.0},
    "gateway-1": {"kind": "gateway", "connections": 5, "commands_per_s": 4.5, "events_per_s": 0.0},
    "session-host-0": {
        "kind": "host", "activations": 11, "turns_per_s": 9.0, "commits_per_s": 2.0, "pending_turns": 3,
    },
    "crash-main": {"kind": "host", "activations": 1, "turns_per_s": 1.0, "commits_per_s": 1.0},
    "event-relay": {"kind": "relay", "lag_seconds": 0.25},
}  # fmt: skip


class FakeBoard:
    def __init__(self, **ages_ms: int) -> None:
        self.reads = 0
        self.is_away = False
        self.ages_ms = ages_ms

    async def read(self) -> Mapping[str, Mapping[str, Any]]:
        self.reads += 1
        await asyncio.sleep(0)
        if self.is_away:
            raise Unavailable("away")
        return {
            name: {"at_ms": RECORDED_MS - self.ages_ms.get(name, 0), **said} for name, said in BOARD.items()
        }


class Watched:
    def __init__(self, board: FakeBoard, limits: Limits | None = None) -> None:
        self.clock = FakeClock()
        parts = dependencies(limits or Limits(), clock=self.clock, statuses=board)
        self.hub = Hub(parts)
        self.hub.start()
        self.app = create_app(parts, self.hub)

    def client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=httpx.ASGITransport(self.app), base_url="http://casino")


async def test_totals() -> None:
    async with Watched(FakeBoard()).client() as client:
        response = await client.get("/api/metrics/global")
    assert response.json() == {
        "at_ms": RECORDED_MS,
        "gateways": 2,
        "hosts": 2,
        "connections": 12,
        "activations": 12,
        "commands_per_s": 15.0,
        "events_per_s": 30.0,
        "turns_per_s": 10.0,
        "commits_per_s": 3.0,
        "pending_turns": 3,
        "relay_lag_s": 0.25,
        "sink_lag_s": None,
    }


async def test_the_silent_do_not_count() -> None:
    async with Watched(FakeBoard(**{"gateway-1": FRESH_MS + 1, "gateway-0": FRESH_MS})).client() as client:
        totals = (await client.get("/api/metrics/global")).json()
    assert (totals["gateways"], totals["connections"]) == (1, 7)


async def test_the_board_is_read_once_for_a_crowd() -> None:
    board = FakeBoard()
    watched = Watched(board)
    async with watched.client() as client:
        await asyncio.gather(*(client.get("/api/metrics/global") for _ in range(20)))
        assert board.reads == 1
        watched.clock.seconds += 10
        await client.get("/api/metrics/global")
    assert board.reads == 2


async def test_without_the_board_the_answer_says_so_and_the_next_one_is_good() -> None:
    board = FakeBoard()
    board.is_away = True
    watched = Watched(board)
    async with watched.client() as client:
        away = await client.get("/api/metrics/global")
        assert (away.status_code, away.json()["code"]) == (503, "unavailable")
        board.is_away = False
        watched.clock.seconds += 10
        assert (await client.get("/api/metrics/global")).status_code == 200


async def stream(watched: Watched) -> str:
    """Everything a reader of the stream gets until it ends."""
    async with watched.client() as client:
        response = await client.get("/api/metrics/stream")
        assert response.headers["content-type"].startswith("text/event-stream")
        return response.text


async def test_a_stream_ends_when_the_gateway_drains() -> None:
    watched = Watched(FakeBoard())
    reading = asyncio.create_task(stream(watched))
    await asyncio.sleep(0.05)
    assert not reading.done()
    await watched.hub.drain()
    [event] = (await reading).strip().split("\n\n")
    assert json.loads(event.removeprefix("data: "))["connections"] == 12


async def test_a_stream_goes_on_without_the_board() -> None:
    board = FakeBoard()
    board.is_away = True
    watched = Watched(board)
    reading = asyncio.create_task(stream(watched))
    await asyncio.sleep(0.05)
    await watched.hub.drain()
    assert await reading == ": unavailable\n\n"


async def test_streams_are_bounded_and_give_their_place_back() -> None:
    watched = Watched(FakeBoard(), Limits(metrics_streams_max=1))
    reading = asyncio.create_task(stream(watched))
    await asyncio.sleep(0.05)
    async with watched.client() as client:
        second = await client.get("/api/metrics/stream")
        assert (second.status_code, second.json()["code"]) == (503, "overloaded")
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
        again = asyncio.create_task(stream(watched))
        await asyncio.sleep(0.05)
        assert not again.done()
        await watched.hub.drain()
        assert "connections" in await again
