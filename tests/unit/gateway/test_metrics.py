"""The page of metrics: the names that were asked for, and no more series than the house has kinds."""

from __future__ import annotations

import secrets

import httpx
from prometheus_client.parser import text_string_to_metric_families

from gateway.counters import Counters
from gateway.metrics import GatewayMetrics
from tests.unit.gateway.house import House

Series = tuple[str, frozenset[tuple[str, str]]]
USERS = 1_000


def series_of(metrics: GatewayMetrics) -> dict[Series, float]:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(metrics.text().decode())
        for sample in family.samples
    }


def value(metrics: GatewayMetrics, name: str, **labels: str) -> float:
    return series_of(metrics)[name, frozenset(labels.items())]


def test_the_names_that_operators_were_promised() -> None:
    counters = Counters()
    counters.connections_opened = 3
    counters.event_lag_ms.observe(7)
    counters.logins_locked = 2
    counters.closes_sent[4401] += 1
    counters.commands_done["spin_slots"] += 4
    counters.commands_failed["spin_slots", "insufficient_gold"] += 1
    counters.problems["token_expired"] += 1
    counters.errors_sent["token_expired"] += 1
    metrics = GatewayMetrics(counters)
    assert value(metrics, "ws_active_connections") == 3
    assert value(metrics, "realtime_event_lag_ms_bucket", le="5.0") == 0
    assert value(metrics, "realtime_event_lag_ms_bucket", le="10.0") == 1
    assert value(metrics, "realtime_event_lag_ms_count") == 1
    assert value(metrics, "auth_login_locked_total") == 2
    assert value(metrics, "ws_closes_total", code="4401") == 1
    assert value(metrics, "casino_commands_total", command="spin_slots", outcome="ok") == 4
    assert value(metrics, "casino_commands_total", command="spin_slots", outcome="insufficient_gold") == 1
    assert value(metrics, "auth_tokens_refused_total", code="token_expired") == 2
    assert value(metrics, "process_resident_memory_bytes") > 1_000_000


async def test_a_thousand_users_make_no_more_series_than_one() -> None:
    house = House()
    metrics = GatewayMetrics(house.parts.fanout.counters)
    users = [f"u_{secrets.token_hex(8)}" for _ in range(USERS)]

    async def play(client: httpx.AsyncClient, user: str) -> None:
        headers = house.bearer(user)
        await client.get("/api/dashboard", headers=headers)
        await client.post("/api/streak/claim", headers=headers)
        await client.post("/api/streak/claim", headers={**headers, "X-Request-Id": user})
        await client.get(f"/api/admin/players/{user}", headers=headers)
        await client.get(f"/api/{user}", headers=headers)
        await client.request(user.upper(), "/api/dashboard", headers=headers)
        await client.get("/api/dashboard", headers={"Authorization": f"Bearer {user}"})

    async with house.client(None) as client:
        await play(client, users[0])
        before = series_of(metrics)
        for user in users[1:]:
            await play(client, user)
    after = series_of(metrics)
    assert after.keys() == before.keys()
    assert 50 < len(after) < 300
    assert value(metrics, "casino_commands_total", command="claim_streak", outcome="ok") == USERS
    said = metrics.text().decode()
    assert not [user for user in users if user in said or user.upper() in said]
    assert "session/" not in said
