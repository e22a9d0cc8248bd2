"""Administration over HTTP: who may, what it does, and what is written about it."""

from __future__ import annotations

import msgspec
import pytest

from gateway.idempotency import HEADER
from gateway.invites import invite_hash
from gateway.revocations import STALE_AFTER_S
from gateway.roles import Role
from tests.unit.gateway.fake_accounts import EPOCH
from tests.unit.gateway.fake_office import Moved
from tests.unit.gateway.house import House

VIP = "/api/admin/players/u_vip"
READINGS = ["/api/admin/players?user_id=u_vip", VIP, f"{VIP}/ledger", "/api/admin/audit"]
CHANGES = {
    f"{VIP}/gold": {"amount": 5, "reason": "why"},
    f"{VIP}/ban": {"reason": "why"},
    f"{VIP}/unban": {"reason": "why"},
    f"{VIP}/role": {"role": "PREMIUM", "reason": "why"},
    "/api/admin/invites": {},
}
EVERY = [("GET", path, None) for path in READINGS] + [("POST", path, body) for path, body in CHANGES.items()]


@pytest.fixture
def house() -> House:
    return House()


@pytest.mark.parametrize(("method", "path", "body"), EVERY)
@pytest.mark.parametrize("user", [None, "u_standard", "u_premium", "u_vip"])
async def test_nobody_else_may(house: House, method, path, body, user: str | None) -> None:
    async with house.client(user) as client:
        response = await client.request(method, path, json=body, headers={HEADER: "k"})
    expected = (401, "not_authenticated") if user is None else (403, "forbidden")
    assert (response.status_code, response.json()["code"]) == expected
    assert house.office.rows == []
    assert house.commands() == []


@pytest.mark.parametrize(("method", "path", "body"), EVERY)
async def test_an_administrator_may(house: House, method, path, body) -> None:
    async with house.client("u_admin") as client:
        response = await client.request(method, path, json=body, headers={HEADER: "k"})
    assert response.status_code in (200, 201), response.text
    if not path.endswith("/gold"):
        assert [row.admin for row in house.office.rows] == ["u_admin"]


async def test_gold_is_given_and_taken(house: House) -> None:
    async with house.client("u_admin") as client:
        gift = {"amount": 500, "reason": "lost bag"}
        given = [await client.post(f"{VIP}/gold", json=gift, headers={HEADER: "g"}) for _ in range(2)]
        taken = await client.post(
            f"{VIP}/gold", json={"amount": -10_501, "reason": "x"}, headers={HEADER: "t"}
        )
    assert [response.json() for response in given] == [
        {"user_id": "u_vip", "amount": 500, "gold_balance": 10_500}
    ] * 2
    assert (taken.status_code, taken.json()["code"]) == (409, "insufficient_funds")
    assert house.router.state("u_vip").gold == 10_500
    assert ("session/u_vip", "reward_granted") in house.router.pushed, "the player sees it"
    data = msgspec.msgpack.decode(house.router.submitted[0][3])
    assert data == {"amount": 500, "reason": "lost bag", "by": "u_admin"}


async def test_an_administrators_key_meets_no_other_id(house: House) -> None:
    house.accounts.add("Admin2", role="ADMIN")
    gift = {"amount": 5, "reason": "x"}
    async with house.client("u_admin") as client:
        await client.post(f"{VIP}/gold", json=gift, headers={HEADER: "k"})
        await client.post(f"{VIP}/gold", json=gift, headers={HEADER: "k"} | house.bearer("u_admin2"))
        await client.post("/api/streak/claim", headers={HEADER: "k"} | house.bearer("u_vip"))
        other = await client.post(f"{VIP}/gold", json={"amount": 6, "reason": "x"}, headers={HEADER: "k"})
    ids = {command_id for _, command_id, _ in house.commands()}
    assert ids == {"\x01admin:u_admin:k", "\x01admin:u_admin2:k", "k"}
    assert house.router.state("u_vip").gold == 10_000 + 2 * 5 + 100
    assert (other.status_code, other.json()["code"]) == (409, "id_reused")


async def test_gold_needs_a_key_and_a_known_account(house: House) -> None:
    gift = {"amount": 5, "reason": "x"}
    house.accounts.add("Gone", kind="erased")
    async with house.client("u_admin") as client:
        keyless = await client.post(f"{VIP}/gold", json=gift)
        strangers = [
            await client.post(f"/api/admin/players/{user}/gold", json=gift, headers={HEADER: "k"})
            for user in ("u_nobody", "u_gone")
        ]
    assert (keyless.status_code, keyless.json()["code"]) == (400, "idempotency_key_required")
    assert {(r.status_code, r.json()["code"]) for r in strangers} == {(404, "account_unknown")}
    assert house.commands() == [], "a session that is asked is opened"


@pytest.mark.parametrize(
    "body",
    [
        {"amount": 5},
        {"amount": "5", "reason": "x"},
        {"amount": 5.0, "reason": "x"},
        {"amount": True, "reason": "x"},
        {"amount": 10**13, "reason": "x"},
        {"amount": 5, "reason": ""},
        {"amount": 5, "reason": "x\n"},
        {"amount": 5, "reason": "a\x00b"},
        {"amount": 5, "reason": "x" * 201},
        {"amount": 5, "reason": "x", "by": "u_vip"},
    ],
)
async def test_adjustments_that_do_not_fit(house: House, body) -> None:
    async with house.client("u_admin") as client:
        response = await client.post(f"{VIP}/gold", json=body, headers={HEADER: "k"})
    assert (response.status_code, response.json()["code"]) == (422, "invalid_data")
    assert house.commands() == []


async def test_what_the_form_lets_pass_fits_the_command(house: House) -> None:
    body = {"amount": -(10**12), "reason": "é — 'x'; DROP TABLE ledger; --"}
    async with house.client("u_admin") as client:
        response = await client.post(f"{VIP}/gold", json=body, headers={HEADER: "k"})
        zero = await client.post(f"{VIP}/gold", json={"amount": 0, "reason": "x"}, headers={HEADER: "z"})
    assert response.json()["code"] == "insufficient_funds", "the rules were asked"
    assert (zero.status_code, zero.json()["code"]) == (409, "no_adjustment")


async def test_a_ban_and_its_end(house: House) -> None:
    async with house.client("u_admin") as client:
        for _ in range(2):
            banned = await client.post(f"{VIP}/ban", json={"reason": "cheat"}, headers={HEADER: "b"})
            assert (banned.status_code, banned.json()) == (200, {"user_id": "u_vip", "banned": True})
        shown = (await client.get(VIP)).json()["account"]
        assert shown["ban_reason"] == "cheat"
        other = await client.post(f"{VIP}/ban", json={"reason": "other"}, headers={HEADER: "b"})
        assert (other.status_code, other.json()["code"]) == (409, "id_reused")
        lifted = await client.post(f"{VIP}/unban", json={"reason": "sorry"})
        assert lifted.json() == {"user_id": "u_vip", "banned": False}
    assert [row.action for row in house.office.rows] == ["ban", "player_read", "unban"]


@pytest.mark.parametrize("what", ["ban", "role"])
async def test_nobody_locks_themselves_out(house: House, what: str) -> None:
    body = {"reason": "x"} | ({"role": "VIP"} if what == "role" else {})
    async with house.client("u_admin") as client:
        response = await client.post(f"/api/admin/players/u_admin/{what}", json=body)
    assert (response.status_code, response.json()["code"]) == (409, "own_account")
    assert house.office.rows == []


async def test_a_role_reaches_the_tables(house: House) -> None:
    path = "/api/admin/players/u_standard/role"
    async with house.client("u_admin") as client:
        body = {"role": "VIP", "reason": "loyal"}
        for _ in range(2):
            changed = await client.post(path, json=body, headers={HEADER: "r"})
            assert changed.json() == {"user_id": "u_standard", "role": "VIP", "change": 1}
    assert house.router.state("u_standard").role.value == "VIP"
    assert ("session/u_standard", "profile_update") in house.router.pushed
    assert [row.action for row in house.office.rows] == ["role"]
    assert {command_id for _, command_id, _ in house.commands()} == {"\x01role:1"}


async def test_a_role_that_is_none(house: House) -> None:
    async with house.client("u_admin") as client:
        response = await client.post(f"{VIP}/role", json={"role": "GOD", "reason": "x"})
    assert (response.status_code, response.json()["code"]) == (422, "invalid_data")


@pytest.mark.parametrize("path", [f"/api/admin/players/u_nobody{end}" for end in ("", "/ledger")])
async def test_strangers_are_not_found_and_not_made(house: House, path: str) -> None:
    async with house.client("u_admin") as client:
        response = await client.get(path)
    assert (response.status_code, response.json()["code"]) == (404, "account_unknown")
    assert house.commands() == []


@pytest.mark.parametrize("what", ["ban", "unban", "role"])
async def test_strangers_cannot_be_changed(house: House, what: str) -> None:
    body = {"reason": "x"} | ({"role": "VIP"} if what == "role" else {})
    async with house.client("u_admin") as client:
        response = await client.post(f"/api/admin/players/u_nobody/{what}", json=body)
    assert (response.status_code, response.json()["code"]) == (404, "account_unknown")


@pytest.mark.parametrize("user_id", ["u%20x", "u%00", "x" * 65, "u_vip'--", "u%0A"])
async def test_user_ids_that_are_none(house: House, user_id: str) -> None:
    async with house.client("u_admin") as client:
        response = await client.get(f"/api/admin/players/{user_id}")
    assert (response.status_code, response.json()["code"]) == (422, "invalid_data")
    assert house.office.rows == []


async def test_finding(house: House) -> None:
    async with house.client("u_admin") as client:
        by_name = (await client.get("/api/admin/players", params={"username": "vip"})).json()
        nobody = (await client.get("/api/admin/players", params={"username": "nobody"})).json()
        anybody = await client.get("/api/admin/players")
    (found,) = by_name["players"]
    assert (found["user_id"], found["username"], found["role"]) == ("u_vip", "Vip", "VIP")
    assert "password_hash" not in found
    assert nobody == {"players": []}
    assert (anybody.status_code, anybody.json()["code"]) == (422, "invalid_data")


async def test_a_player_with_their_state(house: House) -> None:
    async with house.client("u_admin") as client:
        own = (await client.get("/api/dashboard", headers=house.bearer("u_vip"))).json()
        details = (await client.get(VIP)).json()
    assert details["account"]["user_id"] == "u_vip"
    assert details["state"] == own


async def test_looking_at_a_player_who_never_came_opens_no_session(house: House) -> None:
    async with house.client("u_admin") as client:
        details = (await client.get(VIP)).json()
        ledger = (await client.get(f"{VIP}/ledger")).json()
    assert (details["account"]["user_id"], details["state"]) == ("u_vip", None)
    assert (ledger["entries"], ledger["next_before"]) == ([], None)
    assert house.commands() == []
    assert house.router.states == {}


@pytest.mark.parametrize(("method", "path", "body"), EVERY)
async def test_who_cannot_hear_of_revocations_believes_no_administrator(
    house: House, method, path, body
) -> None:
    house.parts.tokens.revocations.heard()
    house.clock.seconds += STALE_AFTER_S + 1
    async with house.client("u_admin") as client:
        refused = await client.request(method, path, json=body, headers={HEADER: "k"})
        assert (refused.status_code, refused.json()["code"]) == (503, "unavailable")
        assert refused.headers["retry-after"]
        assert (await client.get("/api/dashboard")).status_code == 200, "play goes on"
        assert house.office.rows == []
        house.parts.tokens.revocations.heard()
        assert (await client.request(method, path, json=body, headers={HEADER: "k"})).is_success


async def test_an_empty_page_of_the_ledger_need_not_be_the_last(house: House) -> None:
    house.office.moved["u_vip"] = [Moved(3, 0, EPOCH, -3, "house:slots", "stake")]
    house.office.rows_max = 0
    house.office.empty_page_ends = 70_000
    async with house.client("u_admin") as client:
        page = (await client.get(f"{VIP}/ledger")).json()
    assert (page["entries"], page["next_before"]) == ([], 70_000)


async def test_the_ledger_by_pages(house: House) -> None:
    house.office.moved["u_vip"] = [Moved(n, 0, EPOCH, -n, "house:slots", "stake") for n in (5, 4, 3, 2, 1)]
    turns: list[int] = []
    before = None
    async with house.client("u_admin") as client:
        while True:
            params = {"limit": 2} | ({} if before is None else {"before": before})
            page = (await client.get(f"{VIP}/ledger", params=params)).json()
            turns += [entry["turn"] for entry in page["entries"]]
            before = page["next_before"]
            if before is None:
                break
    assert turns == [5, 4, 3, 2, 1]


async def test_the_audit_log_by_pages(house: House) -> None:
    for number in range(3):
        house.office.write("u_admin", "ban", f"u_{number}", "why", more=number)
    async with house.client("u_admin") as client:
        page = (await client.get("/api/admin/audit", params={"limit": 2})).json()
        rest = (await client.get("/api/admin/audit", params={"before": page["next_before"]})).json()
    assert [entry["target"] for entry in page["entries"]] == ["u_2", "u_1"]
    assert [entry["target"] for entry in rest["entries"]] == ["u_0"]
    assert rest["next_before"] is None


@pytest.mark.parametrize("query", ["limit=0", "limit=101", "limit=x", "before=-1", f"before={2**63}"])
async def test_pages_that_are_none(house: House, query: str) -> None:
    async with house.client("u_admin") as client:
        for path in (f"{VIP}/ledger", "/api/admin/audit"):
            assert (await client.get(f"{path}?{query}")).status_code == 422
    assert house.office.rows == []


async def test_an_invite_is_shown_again_under_its_key(house: House) -> None:
    body = {"uses_max": 3, "label": "friends", "expires_at": "2030-01-01T00:00:00+09:00"}
    async with house.client("u_admin") as client:
        first, again = [
            await client.post("/api/admin/invites", json=body, headers={HEADER: "i"}) for _ in range(2)
        ]
        fresh = await client.post("/api/admin/invites", json=body)
        other = await client.post("/api/admin/invites", json=body | {"uses_max": 4}, headers={HEADER: "i"})
    assert first.status_code == 201
    invite = first.json()
    assert invite == again.json()
    assert (invite["uses_max"], invite["uses"], invite["label"]) == (3, 0, "friends")
    assert house.office.invites == [invite_hash(invite["code"]), invite_hash(fresh.json()["code"])]
    assert (other.status_code, other.json()["code"]) == (409, "id_reused")


@pytest.mark.parametrize(
    "body",
    [
        {"uses_max": 0},
        {"uses_max": "3"},
        {"label": "a\x00"},
        {"expires_at": "2030-01-01T00:00:00"},
        {"expires_at": "9999-12-31T23:59:59-12:00"},
        {"expires_at": "tomorrow"},
        {"code": "chosen"},
    ],
)
async def test_invites_that_are_none(house: House, body) -> None:
    async with house.client("u_admin") as client:
        response = await client.post("/api/admin/invites", json=body)
    assert (response.status_code, response.json()["code"]) == (422, "invalid_data")


async def test_a_token_says_what_its_bearer_may_not_the_account(house: House) -> None:
    async with house.client(None) as client:
        old = house.bearer("u_admin", Role.STANDARD)
        assert (await client.get("/api/admin/audit", headers=old)).status_code == 403
