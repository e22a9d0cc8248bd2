"""A port of its own, and nothing on it but the page."""

from __future__ import annotations

import httpx

from gateway.counters import Counters
from gateway.metrics import GatewayMetrics
from gateway.metrics_listener import MetricsListener


async def test_two_gateways_show_each_their_own() -> None:
    listeners = []
    for connections in (3, 5):
        counters = Counters()
        counters.connections_opened = connections
        listener = MetricsListener(GatewayMetrics(counters))
        await listener.start("127.0.0.1", 0)
        listeners.append(listener)
    async with httpx.AsyncClient(trust_env=False) as client:
        pages = [await client.get(f"http://127.0.0.1:{one.port}/metrics") for one in listeners]
        other = await client.get(f"http://127.0.0.1:{listeners[0].port}/api/dashboard")
    for listener in listeners:
        await listener.stop()
        await listener.stop()
    assert [f"ws_active_connections {n}.0" in page.text for n, page in zip((3, 5), pages, strict=True)] == [
        True,
        True,
    ]
    assert pages[0].headers["content-type"].startswith("text/plain; version=0.0.4")
    assert other.status_code == 404
