"""A real Prometheus scrapes a casino that is played in: every panel has data, every rule can be asked, and
a thousand players make no more series than a few."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import httpx
import pytest

from clients import CasinoClient
from clients.errors import AuthenticationFailed, CommandFailed
from deploy.grafana.panels import DASHBOARDS, Panel
from deploy.scraping import scraping_in
from tests.kafka.broker import KafkaBroker
from tests.ports import free_port
from tests.prometheus.fixtures import given
from tests.prometheus.server import PrometheusServer, wait_for
from tests.system.arena import Arena, running

pytestmark = pytest.mark.system

PROMISED = (
    "ws_active_connections",
    "realtime_event_lag_ms_bucket",
    "auth_login_locked_total",
    "ray_casino_host_commit_seconds_bucket",
    "ray_casino_host_commit_turns_bucket",
    "ray_casino_host_activations",
    "ray_casino_host_mailbox_messages",
)
SERIES_SETTLE_S = 12.0
"""Ray's agents hear of a figure within seconds."""


@pytest.fixture(scope="module")
def casino(tmp_path_factory: pytest.TempPathFactory, kafka_broker: KafkaBroker) -> Iterator[Arena]:
    """Two gateways on one port: whoever is scraped there is a matter of luck."""
    folder = tmp_path_factory.mktemp("metrics")
    environment = {
        "CASINO_GATEWAYS": "2",
        "CASINO_KAFKA": kafka_broker.bootstrap,
        "CASINO_REQUESTS_PER_MINUTE_OF_USER": "30",
        "CASINO_PASSWORDS_PER_MINUTE_OF_ADDRESS": "1000",
    }
    with running(folder / "casino", **environment) as arena:
        yield arena


@pytest.fixture(scope="module")
def prometheus(casino: Arena, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrometheusServer]:
    folder = tmp_path_factory.mktemp("prometheus")
    configuration = scraping_in(casino.data) / "prometheus.yml"
    with PrometheusServer(given("prometheus"), configuration, folder / "data", free_port()) as server:
        yield server


async def misbehave(arena: Arena) -> None:
    """Everything a panel tells of that bots do not do: wrong passwords, bad tokens, floods, refusals."""
    async with httpx.AsyncClient(base_url=arena.url, timeout=30.0, trust_env=False) as client:
        name = f"p{secrets.token_hex(6)}"
        invite = (await asyncio.to_thread(arena.run, "invite", "new", "--expires=1h")).stdout.strip()
        person = {"username": name, "password": "correct horse"}
        signed_up = await client.post(
            "/api/auth/signup", json={**person, "invite_code": invite, "birth_date": "1990-01-01"}
        )
        assert signed_up.status_code == 201, signed_up.text
        assert (await client.post("/api/auth/login", json=person)).status_code == 200
        for _ in range(6):
            last = await client.post("/api/auth/login", json={**person, "password": "wrong"})
        assert last.json()["code"] == "login_locked"
        mine = {"Authorization": f"Bearer {signed_up.json()['access_token']}"}
        for _ in range(40):
            flood = await client.get("/api/dashboard", headers=mine)
        assert flood.json()["code"] == "rate_limited"
        await client.get("/api/dashboard", headers={"Authorization": "Bearer forged"})
        await client.get(f"/api/nothing/{name}")
    with suppress(AuthenticationFailed):
        async with CasinoClient.connect(arena.url, token="forged"):
            pass
    async with CasinoClient.connect(arena.url, guest=True) as player:
        await player.command("claim_streak", {})
        with suppress(CommandFailed):
            await player.command("claim_streak", {})
        with suppress(CommandFailed):
            await player.command("no_such_command", {})


@asynccontextmanager
async def played(arena: Arena, players: int, duration_s: float) -> AsyncIterator[None]:
    """The body runs while bots play, and others misbehave."""
    async with arena.bots(players, duration_s) as bots:
        await misbehave(arena)
        yield
        done = await bots
    assert done.status == 0, done.said


def queries() -> Iterator[tuple[str, Panel, str]]:
    for dashboard in DASHBOARDS:
        for panel in dashboard.panels:
            for query in panel.queries:
                yield dashboard.title, panel, query.expression


async def test_every_panel_has_data_and_every_rule_can_be_asked(
    casino: Arena, prometheus: PrometheusServer
) -> None:
    silent: dict[str, str] = {}
    async with played(casino, players=40, duration_s=60):

        def look() -> bool:
            silent.clear()
            for title, panel, expression in queries():
                series = prometheus.query(expression)
                is_told = any(one["value"][1] != "NaN" for one in series)
                if not is_told:
                    silent[f"{title}: {panel.title}"] = expression
            return not silent

        with suppress(AssertionError):
            await asyncio.to_thread(wait_for, look, 20.0, 1.0)
        # What happened before the first scrape has no rate.
        await misbehave(casino)
        with suppress(AssertionError):
            await asyncio.to_thread(wait_for, look, 35.0, 1.0)
    assert silent == {}
    for metric in PROMISED:
        assert prometheus.query(metric), metric
    jobs = {target["labels"]["job"] for target in prometheus.targets()}
    assert jobs == {"cc-webapp-backend", "ray"}
    sick = [target for target in prometheus.targets() if target["health"] != "up"]
    assert not sick
    assert {one["metric"]["process"] for one in prometheus.query("ws_active_connections")} == {
        "gateway-0",
        "gateway-1",
    }
    rules = prometheus.rules()
    assert len(rules) > 10
    for rule in rules:
        assert rule["health"] == "ok", rule
        prometheus.query(rule["query"])
    # Where all is well nobody is called.
    assert [rule["name"] for rule in rules if rule["state"] == "firing"] == []


def casino_series(prometheus: PrometheusServer) -> set[frozenset[tuple[str, str]]]:
    """Every series of ours, by its labels."""
    ours = '{__name__=~"ray_casino_.*|casino_.*|ws_.*|auth_.*|http_.*|realtime_.*|rate_limited.*"}'
    return {frozenset(one["metric"].items()) for one in prometheus.query(ours)}


async def test_a_thousand_players_make_no_more_series(casino: Arena, prometheus: PrometheusServer) -> None:
    async with played(casino, players=20, duration_s=6):
        pass
    await asyncio.sleep(SERIES_SETTLE_S)
    before = casino_series(prometheus)
    async with played(casino, players=1000, duration_s=12):
        pass
    await asyncio.sleep(SERIES_SETTLE_S)
    after = casino_series(prometheus)
    connections = prometheus.query("sum(ws_connections_opened_total)")
    assert float(connections[0]["value"][1]) > 1000
    new = {tuple(sorted(series)) for series in after - before}
    # A code that nobody had met before may have been met. No player has a series.
    assert len(new) <= 20, new
    assert len(after) < 1500
    values = {value for series in after for _, value in series}
    assert not [value for value in values if value.startswith(("u_", "session/", "session-u"))]


async def test_the_house_in_numbers(casino: Arena) -> None:
    async with (
        played(casino, players=10, duration_s=20),
        httpx.AsyncClient(base_url=casino.url, timeout=30.0, trust_env=False) as client,
    ):
        totals: dict[str, float] = {}
        for _ in range(60):
            totals = (await client.get("/api/metrics/global")).json()
            if totals["connections"] >= 10 and totals["turns_per_s"] > 0 and totals["gateways"] == 2:
                break
            await asyncio.sleep(0.25)
        assert totals["connections"] >= 10
        assert (totals["gateways"], totals["hosts"]) == (2, 3)
        assert totals["activations"] >= 10
        assert min(totals["turns_per_s"], totals["commands_per_s"], totals["events_per_s"]) > 0
        async with client.stream("GET", "/api/metrics/stream") as stream:
            events = [line async for line in _first(stream.aiter_lines(), 5)]
        assert sum(line.startswith('data: {"at_ms":') for line in events) >= 2
        assert (await client.get("/metrics")).status_code == 200
        proxied = await client.get("/metrics", headers={"X-Forwarded-For": "203.0.113.9"})
        assert proxied.status_code == 404


async def _first(lines: AsyncIterator[str], count: int) -> AsyncIterator[str]:
    async for line in lines:
        yield line
        count -= 1
        if not count:
            return


def test_targets_leave_with_their_gateways(casino: Arena, prometheus: PrometheusServer) -> None:
    def gateways() -> set[str]:
        return {
            target["labels"]["process"]
            for target in prometheus.targets()
            if target["labels"]["job"] == "cc-webapp-backend" and target["health"] == "up"
        }

    casino.run("scale", "--gateways=1")
    wait_for(lambda: gateways() == {"gateway-0"}, 60.0)
    casino.run("scale", "--gateways=2")
    wait_for(lambda: gateways() == {"gateway-0", "gateway-1"}, 60.0)
    casino.kill("Gateway")
    wait_for(lambda: gateways() == {"gateway-0", "gateway-1"}, 60.0)


def test_the_directory_is_there_for_operators(casino: Arena) -> None:
    found = {path.name for path in Path(scraping_in(casino.data)).iterdir()}
    assert {"prometheus.yml", "casino_alerts.yml", "targets", "ray.json"} <= found
