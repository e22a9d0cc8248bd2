"""The REST interface of a running casino: the day's first steps through both doors, who may do what, and
what hostile clients come to. The last test looks for secrets in everything that was logged meanwhile."""

from __future__ import annotations

import asyncio
import itertools
import json
import secrets
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi import checks

from clients import CasinoClient
from clients.errors import CommandFailed
from deploy.key_ring import FILE_NAME, KeyFile, keys_at
from gateway.key_ring import KeyRing
from gateway.roles import Role
from gateway.tokens import AccessTokens
from tests.system.arena import Arena

pytestmark = pytest.mark.system

KEY = "Idempotency-Key"
BORN = "1987-06-05"
REVOKED_WITHIN_S = 5.0
"""It is a second by design; the rest is for a machine that is busy."""
INJECTIONS = [
    "' OR '1'='1",
    "'; DROP TABLE accounts; --",
    '"; DELETE FROM ledger; --',
    "$1; SELECT pg_sleep(5)",
    "\\'; TRUNCATE audit_log; --",
    "%27%20UNION%20SELECT",
    "admin'--",
    "\x00",
    "ı\u202e\ufeff",
]
SAID: set[str] = {BORN}
"""Everything that must not be in a log."""


class Person:
    def __init__(self, name: str, password: str, signed_in: dict[str, Any]) -> None:
        self.name = name
        self.password = password
        self.take(signed_in)

    def take(self, signed_in: dict[str, Any]) -> None:
        self.user_id: str = signed_in["user_id"]
        self.token: str = signed_in["access_token"]
        self.refresh_token: str = signed_in["refresh_token"]
        SAID.update({self.token, self.refresh_token, self.password})

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}


class Door:
    """HTTP to the casino, and the people who have come in."""

    def __init__(self, arena: Arena, client: httpx.AsyncClient) -> None:
        self.arena = arena
        self.client = client
        self._numbers = itertools.count(1)

    async def sign_up(self, **more: Any) -> Person:
        name, password = f"p{secrets.token_hex(6)}", f"secret-{secrets.token_hex(8)}"
        invite = (await asyncio.to_thread(self.arena.run, "invite", "new", "--expires=1h")).stdout.strip()
        SAID.update({invite, password})
        form = {"username": name, "password": password, "invite_code": invite, "birth_date": BORN}
        answer = await self.client.post("/api/auth/signup", json=form | more)
        assert answer.status_code == 201, answer.text
        return Person(name, password, answer.json())

    async def log_in(self, person: Person) -> None:
        form = {"username": person.name, "password": person.password}
        answer = await self.client.post("/api/auth/login", json=form)
        assert answer.status_code == 200, answer.text
        person.take(answer.json())

    async def administrator(self) -> Person:
        name, password = f"a{secrets.token_hex(6)}", f"secret-{secrets.token_hex(8)}"
        command = self.arena.command("admin", "create", name, "--password-stdin")
        await asyncio.to_thread(
            subprocess.run, command, input=f"{password}\n", text=True, check=True, timeout=60,
            capture_output=True,
        )  # fmt: skip
        person = Person(name, password, {"user_id": "", "access_token": password, "refresh_token": password})
        await self.log_in(person)
        return person

    async def of_role(self, admin: Person, role: Role) -> Person:
        if role is Role.ADMIN:
            return admin
        person = await self.sign_up()
        if role is not Role.STANDARD:
            await self.must(admin, "POST", f"/api/admin/players/{person.user_id}/role", role=role.value)
            await self.log_in(person)
        return person

    async def call(self, person: Person | None, method: str, path: str, **body: Any) -> httpx.Response:
        headers = {KEY: f"k{next(self._numbers)}-{secrets.token_hex(4)}"}
        if person is not None:
            headers |= person.headers
        if path.startswith("/api/admin/players/") and body:
            body.setdefault("reason", "test")
        return await self.client.request(method, path, headers=headers, json=body if body else None)

    async def must(self, person: Person | None, method: str, path: str, **body: Any) -> dict[str, Any]:
        answer = await self.call(person, method, path, **body)
        assert answer.is_success, answer.text
        return dict(answer.json()) if answer.content else {}


@pytest.fixture
async def door(arena: Arena) -> AsyncIterator[Door]:
    async with httpx.AsyncClient(base_url=arena.url, timeout=30.0, trust_env=False) as client:
        yield Door(arena, client)


@pytest.fixture
async def admin(door: Door) -> Person:
    return await door.administrator()


async def _until(condition: Any) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.01)


async def test_the_first_two_steps_of_the_day(door: Door, arena: Arena) -> None:
    person = await door.sign_up()
    await door.log_in(person)
    me = await door.must(person, "GET", "/api/auth/me")
    assert (me["user_id"], me["role"]) == (person.user_id, "STANDARD")
    before = await door.must(person, "GET", "/api/dashboard")
    assert (before["gold_balance"], before["streak"]["claimable"]) == (10_000, True)
    async with CasinoClient.connect(arena.url, token=person.token) as socket:
        assert socket.state.gold_balance == 10_000
        claimed = await door.must(person, "POST", "/api/streak/claim")
        await _until(lambda: socket.state.streak_count == 1)
        assert (
            socket.state.gold_balance == claimed["gold_balance"] == 10_000 + before["streak"]["next_reward"]
        )
        spin = {"url": "/api/games/slots/spin", "json": {"stake": 10}}
        headers = person.headers | {KEY: "both doors"}
        spun = (await door.client.post(**spin, headers=headers)).json()
        await _until(lambda: socket.state.gold_balance == spun["gold_balance"] and socket.state.exp)
        assert await socket.command("spin_slots", {"stake": 10}, id="both doors") == spun
        with pytest.raises(CommandFailed) as refused:
            await socket.command("spin_slots", {"stake": 11}, id="both doors")
        assert refused.value.code == "id_reused"
        from_socket = await socket.command("spin_slots", {"stake": 7}, id="from the socket")
        again = await door.client.post(
            spin["url"], json={"stake": 7}, headers=person.headers | {KEY: "from the socket"}
        )
        assert again.json() == from_socket
        after = await door.must(person, "GET", "/api/dashboard")
        assert after["gold_balance"] == socket.state.gold_balance
    assert after["stats"]["slots"]["plays"] == 2
    assert [a["action_type"] for a in after["recent_actions"]] == ["spin_slots", "spin_slots", "claim_streak"]
    second = await door.call(person, "POST", "/api/streak/claim")
    assert (second.status_code, second.json()["code"]) == (409, "streak_already_claimed")


async def test_a_bet_in_crash_over_http(door: Door) -> None:
    person = await door.sign_up()
    async with asyncio.timeout(60):
        while True:
            answer = await door.call(person, "POST", "/api/games/crash/bets", stake=10, auto_cash_out=1.01)
            if answer.status_code == 200:
                break
            assert answer.json()["code"] in ("betting_closed", "unavailable"), answer.text
            await asyncio.sleep(0.3)
    assert answer.json()["stake"] == 10
    bets = await door.must(person, "GET", "/api/games/crash/bets")
    assert bets["open"] or bets["settled"]


def _expired(arena: Arena, user_id: str, role: Role) -> str:
    class LongAgo:
        def now_ms(self) -> int:
            return int(time.time() * 1000) - 7 * 86_400_000

        def monotonic(self) -> float:
            return 0.0

    keys, active = keys_at(KeyFile(arena.data / "secrets" / FILE_NAME).read(), int(time.time() * 1000))
    return AccessTokens(KeyRing(keys, active), LongAgo()).issue(user_id, role).token


async def test_every_guarded_route_with_every_role_and_with_none(
    door: Door, arena: Arena, admin: Person
) -> None:
    people = {role: await door.of_role(admin, role) for role in Role}
    document = (await door.client.get("/openapi.json")).json()
    tried = 0
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            if {} in operation.get("security", [{}]):
                continue
            address = path.replace("{user_id}", "u_nobody")
            forged = admin.token[:-6] + "AAAAAA"
            tokens = {
                None: "not_authenticated",
                "x": "token_invalid",
                forged: "token_invalid",
                _expired(arena, admin.user_id, Role.ADMIN): "token_expired",
            }
            for token, code in tokens.items():
                headers = {"Authorization": f"Bearer {token}"} if token is not None else {}
                answer = await door.client.request(method, address, headers=headers)
                assert (answer.status_code, answer.json()["code"]) == (401, code), (method, path)
                assert "www-authenticate" in answer.headers
                tried += 1
            if path.startswith("/api/admin"):
                for role in Role:
                    if role is not Role.ADMIN:
                        answer = await door.call(people[role], method, address)
                        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden"), path
                        tried += 1
                answer = await door.call(admin, method, address)
                assert answer.status_code not in (401, 403), answer.text
                assert answer.status_code < 500, answer.text
    assert tried > 100


async def test_another_players_data_by_id(door: Door, admin: Person) -> None:
    ann, bob = await door.sign_up(), await door.sign_up()
    for user_id in (bob.user_id, "u_nobody", admin.user_id):
        answer = await door.call(ann, "GET", f"/api/actions/recent/{user_id}")
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    assert (await door.must(ann, "GET", f"/api/actions/recent/{ann.user_id}"))["actions"] == []
    exported = await door.must(ann, "GET", f"/api/users/me/export?user_id={bob.user_id}")
    assert exported["account"]["user_id"] == ann.user_id
    await door.must(admin, "GET", f"/api/actions/recent/{bob.user_id}")
    log = await door.must(admin, "GET", "/api/admin/audit")
    assert (log["entries"][0]["admin"], log["entries"][0]["target"]) == (admin.user_id, bob.user_id)


async def test_what_nobody_may_choose(door: Door, arena: Arena) -> None:
    for extra in ({"role": "ADMIN"}, {"gold_balance": 10**9}, {"user_id": "u_chosen"}, {"kind": "full"}):
        form = {"username": "massy", "password": "long enough", "invite_code": "x", "birth_date": BORN}
        answer = await door.client.post("/api/auth/signup", json=form | extra)
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_data")
    person = await door.sign_up()
    for path, body in (
        ("/api/games/slots/spin", {"stake": 5}),
        ("/api/actions", {"action_type": "x"}),
        ("/api/games/crash/bets", {"stake": 5}),
    ):
        for extra in ({"role": "VIP"}, {"gold_balance": 1}, {"user_id": "u_x"}, {"payout": 9}):
            answer = await door.call(person, "POST", path, **body, **extra)
            assert (answer.status_code, answer.json()["code"]) == (422, "invalid_data")
    shown = await door.must(person, "GET", "/api/users/profile")
    assert (shown["gold_balance"], shown["role"]) == (10_000, "STANDARD")


async def test_sql_in_every_string(door: Door, arena: Arena, admin: Person) -> None:
    person = await door.sign_up()
    there = f"/api/admin/players/{person.user_id}"
    statuses: set[int] = set()
    for text in INJECTIONS:
        requests: list[tuple[Person | None, str, str, dict[str, Any]]] = [
            (None, "POST", "/api/auth/login", {"username": text, "password": text}),
            (None, "POST", "/api/auth/refresh", {"refresh_token": text}),
            (None, "POST", "/api/auth/logout", {"refresh_token": text}),
            (None, "POST", "/api/auth/signup",
             {"username": text, "password": text * 3, "invite_code": text, "birth_date": text}),
            (None, "POST", "/api/auth/signup",
             {"username": "sqlsql", "password": f"{text:>12}", "invite_code": text, "birth_date": BORN}),
            (person, "POST", "/api/auth/password", {"old_password": text, "new_password": f"{text:>12}"}),
            (person, "POST", "/api/games/slots/spin", {"stake": 1, "machine": text}),
            (person, "POST", "/api/games/crash/bets", {"stake": 1, "table": text}),
            (person, "POST", "/api/actions", {"action_type": text}),
            (person, "POST", "/api/actions", {"action_type": "x", "context": {text: text}}),
            (admin, "POST", f"{there}/gold", {"amount": 1, "reason": text}),
            (admin, "POST", f"{there}/ban", {"reason": text}),
            (admin, "POST", f"{there}/unban", {"reason": text}),
            (admin, "POST", f"{there}/role", {"role": text, "reason": text}),
            (admin, "POST", "/api/admin/invites", {"label": text}),
        ]  # fmt: skip
        for who, method, path, body in requests:
            answer = await door.call(who, method, path, **body)
            assert answer.status_code < 500, (path, text, answer.text)
            statuses.add(answer.status_code)
            if path.endswith("/unban"):
                await door.log_in(person)
        for params in ({"username": text}, {"user_id": text}):
            answer = await door.client.get("/api/admin/players", params=params, headers=admin.headers)
            assert answer.status_code < 500, answer.text
        for path in ("/api/admin/players/{}", "/api/admin/players/{}/ledger", "/api/actions/recent/{}"):
            address = path.format("".join(f"%{byte:02x}" for byte in text.encode()))
            answer = await door.client.get(address, headers=admin.headers)
            assert answer.status_code in (404, 422), (address, answer.text)
        for params in ({"table": text}, {"limit": text}):
            answer = await door.client.get("/api/games/crash/history", params=params)
            assert answer.status_code in (404, 422)
    assert {200, 401, 404, 422} <= statuses
    log = await door.must(admin, "GET", "/api/admin/audit?limit=100")
    assert INJECTIONS[1] in {entry["reason"] for entry in log["entries"]}, "stored as it was written"
    assert arena.audit()["ok"]


async def test_gold_from_an_administrator(door: Door, arena: Arena, admin: Person) -> None:
    person = await door.sign_up()
    path = f"/api/admin/players/{person.user_id}/gold"
    headers = admin.headers | {KEY: "gift"}
    async with CasinoClient.connect(arena.url, token=person.token) as socket:
        gift = {"amount": 700, "reason": "lost bag"}
        answers = [await door.client.post(path, json=gift, headers=headers) for _ in range(3)]
        assert {answer.text for answer in answers} == {answers[0].text}
        await _until(lambda: socket.state.gold_balance == 10_700)
        # The same key as the player's own command is another command.
        assert (await socket.command("spin_slots", {"stake": 1}, id="gift"))["stake"] == 1
    other = await door.client.post(path, json=gift | {"amount": 701}, headers=headers)
    assert (other.status_code, other.json()["code"]) == (409, "id_reused")
    too_much = await door.call(admin, "POST", path, amount=-(10**9))
    assert (too_much.status_code, too_much.json()["code"]) == (409, "insufficient_funds")
    ledger = await door.must(admin, "GET", f"/api/admin/players/{person.user_id}/ledger")
    given = [entry for entry in ledger["entries"] if entry["other_account"] == "faucet:admin"]
    assert [(entry["amount"], entry["reason"]) for entry in given] == [(700, f"by {admin.user_id}: lost bag")]
    log = await door.must(admin, "GET", "/api/admin/audit?limit=100")
    rows = [e for e in log["entries"] if "gold" in e["action"] and person.user_id in json.dumps(e)]
    assert len(rows) == 1, "written by the turn itself, once"
    assert rows[0]["admin"] == admin.user_id


async def test_a_role_and_a_ban_take_effect_everywhere(door: Door, arena: Arena, admin: Person) -> None:
    person = await door.sign_up()
    there = f"/api/admin/players/{person.user_id}"
    await door.must(admin, "POST", f"{there}/gold", amount=10**6)
    refused = await door.call(person, "POST", "/api/games/slots/spin", stake=100_000)
    assert refused.json()["code"] == "stake_out_of_range"
    changed = await door.must(admin, "POST", f"{there}/role", role="VIP")
    assert changed == {"user_id": person.user_id, "role": "VIP", "change": 1}
    await _voided(door, person, 401, "token_revoked")
    refreshed = await door.must(None, "POST", "/api/auth/refresh", refresh_token=person.refresh_token)
    person.take(refreshed)
    assert refreshed["role"] == "VIP"
    assert (await door.must(person, "POST", "/api/games/slots/spin", stake=100_000))["stake"] == 100_000
    assert (await door.must(person, "GET", "/api/dashboard"))["role"] == "VIP"
    await door.must(admin, "POST", f"{there}/ban", reason="cheating")
    await _voided(door, person, 403, "banned")
    form = {"username": person.name, "password": person.password}
    login = await door.client.post("/api/auth/login", json=form)
    assert (login.status_code, login.json()["code"]) == (403, "banned")
    own = await door.call(admin, "POST", f"/api/admin/players/{admin.user_id}/ban", reason="oops")
    assert (own.status_code, own.json()["code"]) == (409, "own_account")
    await door.must(admin, "POST", f"{there}/unban", reason="a mistake")
    await door.log_in(person)


async def _voided(door: Door, person: Person, status: int, code: str) -> None:
    async with asyncio.timeout(REVOKED_WITHIN_S):
        while (answer := await door.call(person, "GET", "/api/dashboard")).is_success:
            await asyncio.sleep(0.05)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


async def test_an_erased_person_leaves_their_gold_in_the_books(door: Door, arena: Arena) -> None:
    person = await door.sign_up()
    await door.must(person, "POST", "/api/games/slots/spin", stake=10)
    exported = await door.must(person, "GET", "/api/users/me/export")
    assert exported["birth_date"] == BORN
    assert exported["account"]["username"] == person.name
    assert len(exported["ledger"]["entries"]) >= 2
    wrong = await door.call(person, "DELETE", "/api/users/me", password="not this one")
    assert (wrong.status_code, wrong.json()["code"]) == (403, "wrong_password")
    await door.must(person, "DELETE", "/api/users/me", password=person.password)
    await _voided(door, person, 401, "token_revoked")
    form = {"username": person.name, "password": person.password}
    assert (await door.client.post("/api/auth/login", json=form)).status_code == 401
    connection = await asyncpg.connect(arena.dsn)
    try:
        moved = await connection.fetchval(
            "SELECT count(*) FROM ledger WHERE debit = $1 OR credit = $1", f"player:{person.user_id}"
        )
        assert moved == len(exported["ledger"]["entries"])
        for table in await connection.fetch(
            "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'"
        ):
            rows = await connection.fetch(f'SELECT t::text AS row FROM "{table["table_name"]}" t')
            assert not [row for row in rows if person.name in row["row"]], table
    finally:
        await connection.close()
    assert arena.audit()["ok"]


async def test_every_answer_has_the_headers(door: Door) -> None:
    for path in ("/api/dashboard", "/api/nothing", "/healthz"):
        headers = (await door.client.get(path)).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert "server" not in headers


# Whatever a client may send: no defect, and no answer that the document does not know.

CHECKS = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
    checks.unsupported_method,
]


@pytest.fixture(scope="module")
def crowd(arena: Arena) -> dict[str, Person | None]:
    """One person for each kind of client, whom nothing else depends on."""

    async def gather() -> dict[str, Person | None]:
        async with httpx.AsyncClient(base_url=arena.url, timeout=30.0, trust_env=False) as client:
            door = Door(arena, client)
            return {"nobody": None, "player": await door.sign_up(), "admin": await door.administrator()}

    return asyncio.run(gather())


@pytest.mark.parametrize("who", ["nobody", "player", "admin"])
def test_every_operation_keeps_to_the_document(
    arena: Arena, crowd: dict[str, Person | None], who: str
) -> None:
    schema = schemathesis.openapi.from_url(f"{arena.url}/openapi.json")
    person = crowd[who]
    headers = person.headers if person is not None else {}
    tried = 0
    # Those that would leave the rest nothing to be signed in with; and the last one never ends.
    ends = ["/api/users/me", "/api/auth/logout-everywhere", "/api/metrics/stream"]
    for found in schema.exclude(path=ends).get_all_operations():
        operation = found.ok()

        @given(case=operation.as_strategy())
        @settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck), database=None)
        def holds(case: schemathesis.Case) -> None:
            case.call_and_validate(headers=headers, checks=CHECKS)

        holds()
        tried += 1
    assert tried > 25


def _logs(arena: Arena) -> Iterator[Path]:
    yield arena.log
    for root in (arena.data / "logs", arena.instance.runtime):
        for path in root.rglob("*"):
            if path.is_file() and path.suffix in (".log", ".err", ".out", ".txt", ".json", ""):
                yield path


def test_no_secret_was_logged(arena: Arena) -> None:
    wanted = [text.encode() for text in SAID if len(text) >= 8]
    assert len(wanted) > 30, "the tests before this one have said things"
    seen: set[bytes] = set()
    for path in _logs(arena):
        try:
            found = path.read_bytes()
        except OSError:
            continue
        seen |= {text for text in (b"gateway-0", b"session-host-0", b"ready http") if text in found}
        leaked = [text for text in wanted if text in found]
        assert not leaked, (path, leaked)
        assert b"authorization: bearer" not in found.lower(), path
    assert len(seen) == 3, "these are the logs"
