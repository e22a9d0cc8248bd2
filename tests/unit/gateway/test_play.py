"""Playing over HTTP: the same commands as on the socket, under the same ids."""

from __future__ import annotations

import httpx
import msgspec
import pytest

from gateway.catalogue import Command
from gateway.idempotency import HEADER
from gateway.play import ROUTES
from gateway.rate_limit import LocalRateLimiter
from runtime.stream import Failure
from tests.unit.gateway.fakes import FakeClock
from tests.unit.gateway.house import House

WRITES = [route for route in ROUTES if route.method == "POST"]
BODIES = {
    "claim_streak": {},
    "log_action": {"action_type": "lobby"},
    "log_actions": {"actions": [{"action_type": "lobby"}]},
    "spin_slots": {"stake": 10},
    "place_crash_bet": {"stake": 10},
    "cash_out_crash": {},
}


@pytest.fixture
def house() -> House:
    return House()


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.command)
async def test_every_route_gives_its_command_to_the_own_session(house: House, route) -> None:
    async with house.client() as client:
        body = BODIES.get(route.command) if route.method == "POST" else None
        response = await client.request(route.method, route.path, json=body, headers={HEADER: "k-1"})
    crash = {"place_crash_bet": (409, "betting_closed"), "cash_out_crash": (409, "no_open_bet")}
    expected = crash.get(route.command, (200, None))
    assert (response.status_code, response.json().get("code")) == expected
    ((user_id, command_id, name),) = house.commands()
    assert (user_id, name) == ("u_standard", route.command)
    assert (command_id == "k-1") == (route.method == "POST"), "a reading has no use for the key"


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.command)
async def test_nobody_and_a_flood_reach_no_session(route) -> None:
    clock = FakeClock()
    house = House(user_rate=LocalRateLimiter(clock, burst=1, per_s=0.5))
    async with house.client(None) as client:
        response = await client.request(route.method, route.path)
        assert (response.status_code, response.json()["code"]) == (401, "not_authenticated")
        for headers in (house.bearer(), house.bearer()):
            response = await client.request(
                route.method, route.path, headers=headers | {HEADER: "k"}, json=BODIES.get(route.command)
            )
        assert (response.status_code, response.json()["code"]) == (429, "rate_limited")
        assert response.headers["retry-after"] == "2"
    assert len(house.commands()) == 1


async def test_a_result_is_the_commands(house: House) -> None:
    async with house.client() as client:
        claimed = (await client.post("/api/streak/claim", headers={HEADER: "c"})).json()
        spun = (await client.post("/api/games/slots/spin", json={"stake": 5}, headers={HEADER: "s"})).json()
        dashboard = (await client.get("/api/dashboard")).json()
        profile = (await client.get("/api/users/profile")).json()
    assert (claimed["streak_count"], claimed["gold_balance"]) == (1, 10_100)
    assert spun["gold_balance"] == dashboard["gold_balance"] == profile["gold_balance"]
    assert [action["action_type"] for action in dashboard["recent_actions"]] == ["spin_slots", "claim_streak"]


async def test_a_repeat_changes_nothing_and_is_answered_alike(house: House) -> None:
    spin = {"url": "/api/games/slots/spin", "headers": {HEADER: "once"}}
    async with house.client() as client:
        first, again = [(await client.post(json={"stake": 7}, **spin)).json() for _ in range(2)]
        other = await client.post(json={"stake": 8}, **spin)
        elsewhere = await client.post("/api/streak/claim", headers={HEADER: "once"})
    assert first == again
    assert house.router.state("u_standard").games["slots"].plays == 1
    assert (other.status_code, other.json()["code"]) == (409, "id_reused")
    assert (elsewhere.status_code, elsewhere.json()["code"]) == (409, "id_reused")


@pytest.mark.parametrize(
    "body", [b'{"stake":7}', b'{"machine":"classic","stake":7}', b' {"stake": 7 } ', b'{"stake":7,"stake":7}']
)
async def test_the_key_is_the_id_of_the_same_message_on_the_socket(house: House, body: bytes) -> None:
    spec = house.parts.catalogue["spin_slots"]
    on_the_socket = Command(spec).from_messagepack(msgspec.Raw(msgspec.msgpack.encode({"stake": 7})))
    async with house.client() as client:
        await client.post("/api/games/slots/spin", content=body, headers={HEADER: "both doors"})
    assert house.router.submitted == [("session/u_standard", "both doors", "spin_slots", on_the_socket)]


async def test_the_key_may_be_left_out(house: House) -> None:
    async with house.client() as client:
        for _ in range(2):
            assert (await client.post("/api/actions", json=BODIES["log_action"])).status_code == 200
    (_, first, _), (_, second, _) = house.commands()
    assert first != second


@pytest.mark.parametrize("key", ["", "x" * 65, "\x01admin:u_admin:k", "tab\there", "é"])
async def test_keys_that_are_none(house: House, key: str) -> None:
    async with house.client() as client:
        header = (HEADER.encode(), key.encode("latin-1"))
        request = client.build_request("POST", "/api/actions", json=BODIES["log_action"])
        request.headers = httpx.Headers([*request.headers.raw, header])
        response = await client.send(request)
    assert (response.status_code, response.json()["code"]) == (422, "invalid_data")
    assert house.commands() == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"stake": "5"}',
        b'{"stake": 5.5}',
        b'{"stake": true}',
        b'{"stake": 0}',
        b'{"stake": 1e400}',
        b'{"stake": 99999999999999999999999999}',
        b'{"stake": 5, "user_id": "u_vip"}',
        b'{"stake": 5, "role": "VIP", "gold": 1000000}',
        b'{"stake": 5, "machine": "\xff"}',
        b"[" * 30_000,
    ],
)
async def test_bodies_that_do_not_fit(house: House, body: bytes) -> None:
    async with house.client() as client:
        response = await client.post("/api/games/slots/spin", content=body, headers={HEADER: "k"})
    assert (response.status_code, response.json()["code"]) == (422, "invalid_data")
    assert house.commands() == []


async def test_a_body_that_is_too_large(house: House) -> None:
    async with house.client() as client:
        response = await client.post("/api/actions", content=b" " * 70_000)
    assert (response.status_code, response.json()["code"]) == (413, "body_too_large")


async def test_the_rules_say_no(house: House) -> None:
    async with house.client() as client:
        refused = [
            (await client.post("/api/games/slots/spin", json=body, headers={HEADER: "k"}))
            for body in ({"stake": 20_000}, {"stake": 1, "machine": "atlantis"})
        ]
    assert [(r.status_code, r.json()["code"]) for r in refused] == [
        (409, "stake_out_of_range"),
        (404, "unknown_machine"),
    ]


async def test_an_unreachable_session(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    def submit(*arguments, **_) -> None:
        arguments[4](Failure(0, "unavailable", "later", True))

    monkeypatch.setattr(house.router, "submit", submit)
    async with house.client() as client:
        response = await client.get("/api/dashboard")
    assert (response.status_code, response.json()["code"]) == (503, "unavailable")
    assert response.headers["retry-after"] == "1"
