"""Signing up: who may, and that nobody becomes more than they may."""

from __future__ import annotations

import asyncio
from datetime import date
from typing import Any

import pytest
from pwdlib.hashers.argon2 import Argon2Hasher

from gateway.roles import Role
from gateway.sign_up import is_adult
from runtime.errors import Unavailable
from tests.unit.gateway.auth_client import INVITE, PASSWORD, AuthClient, answer_of

FORM = {"username": "Ann", "password": PASSWORD, "invite_code": INVITE, "birth_date": "1990-05-17"}


@pytest.fixture
def client() -> AuthClient:
    return AuthClient()


async def test_signing_up(client: AuthClient) -> None:
    response = await client.post("signup", **FORM)
    assert response.status_code == 201
    body = response.json()
    assert set(body) == {"access_token", "refresh_token", "token_type", "expires_in", "user_id", "role"}
    assert (body["token_type"], body["expires_in"], body["role"]) == ("bearer", 900, "STANDARD")
    (account,) = client.store.accounts.values()
    assert (account.user_id, account.username, account.kind) == (body["user_id"], "Ann", "full")
    assert account.birth_date == date(1990, 5, 17)
    assert account.password_hash.startswith("$argon2id$")
    assert client.bearer(response).user_id == account.user_id
    assert (await client.log_in("ann")).json()["user_id"] == account.user_id


async def test_an_invite_is_used_up(client: AuthClient) -> None:
    await client.post("signup", **FORM)
    assert answer_of(await client.post("signup", **{**FORM, "username": "Bob"})) == (403, "invite_invalid")
    refused = await client.post("signup", **{**FORM, "username": "Bob", "invite_code": "WRONG"})
    assert answer_of(refused) == (403, "invite_invalid")
    assert len(client.store.accounts) == 1


@pytest.fixture
def hashes(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    hashed: list[str] = []
    genuine = Argon2Hasher.hash

    def spy(self: Argon2Hasher, password: str, **options: Any) -> str:
        hashed.append("one")
        return genuine(self, password, **options)

    monkeypatch.setattr(Argon2Hasher, "hash", spy)
    return hashed


async def test_without_an_invite_nothing_is_hashed(client: AuthClient, hashes: list[str]) -> None:
    for code in ("WRONG", "nobody-gave-it"):
        refused = await client.post("signup", **{**FORM, "invite_code": code})
        assert answer_of(refused) == (403, "invite_invalid")
    assert (hashes, client.store.asked["sign_up"]) == ([], 0)
    assert (await client.post("signup", **FORM)).status_code == 201
    assert hashes == ["one"]
    assert answer_of(await client.post("signup", **FORM)) == (403, "invite_invalid"), "used up"
    assert hashes == ["one"]


async def test_an_invite_that_goes_meanwhile_is_taken_once(client: AuthClient) -> None:
    answers = await asyncio.gather(
        *(client.post("signup", **{**FORM, "username": f"Ann-{number}"}) for number in range(10))
    )
    codes = [answer.status_code for answer in answers]
    assert (codes.count(201), codes.count(403)) == (1, 9)


async def test_a_name_is_one_persons(client: AuthClient) -> None:
    await client.account("ann")
    assert answer_of(await client.post("signup", **FORM)) == (409, "username_taken")


async def test_a_guest_becomes_a_full_account(client: AuthClient) -> None:
    guest = (await client.post("guest")).json()
    response = await client.post("signup", token=guest["access_token"], **FORM)
    assert response.status_code == 201
    assert response.json()["user_id"] == guest["user_id"]
    assert list(client.store.accounts) == [guest["user_id"]]
    client.store.invites = dict.fromkeys(client.store.invites, 1)
    again = await client.post("signup", token=guest["access_token"], **{**FORM, "username": "Bob"})
    assert answer_of(again) == (409, "not_a_guest")


async def test_a_bad_token_does_not_make_another_account(client: AuthClient) -> None:
    assert answer_of(await client.post("signup", token="nonsense", **FORM)) == (401, "token_invalid")
    assert client.store.accounts == {}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("role", "ADMIN"),
        ("gold", 1_000_000),
        ("kind", "full"),
        ("user_id", "u_other"),
        ("role_changes", 1),
    ],
)
async def test_mass_assignment(client: AuthClient, field: str, value: Any) -> None:
    for path, body in (("signup", FORM), ("login", {"username": "ann", "password": PASSWORD})):
        assert answer_of(await client.post(path, **{**body, field: value})) == (422, "invalid_data")
    assert client.store.accounts == {}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("username", "an"),
        ("username", "a" * 33),
        ("username", "ann smith"),
        ("username", "ann\n"),
        ("username", "änn"),
        ("username", "'; DROP TABLE accounts; --"),
        ("username", "ann\x00"),
        ("username", None),
        ("username", ["ann"]),
        ("password", "short77"),
        ("password", "x" * 129),
        ("password", 12345678),
        ("invite_code", ""),
        ("invite_code", "x" * 65),
        ("birth_date", "17.05.1990"),
        ("birth_date", "1990-02-30"),
        ("birth_date", "1899-12-31"),
        ("birth_date", 0),
        ("birth_date", "0"),
        ("birth_date", "1990-05-17T00:00:00"),
        ("birth_date", True),
    ],
)
async def test_what_is_no_form(client: AuthClient, field: str, value: Any) -> None:
    response = await client.post("signup", **{**FORM, field: value})
    assert answer_of(response) == (422, "invalid_data")
    assert client.store.asked["sign_up"] == 0


@pytest.mark.parametrize("field", list(FORM))
async def test_what_is_missing(client: AuthClient, field: str) -> None:
    form = {name: value for name, value in FORM.items() if name != field}
    assert answer_of(await client.post("signup", **form)) == (422, "invalid_data")


async def test_no_refusal_repeats_a_secret(client: AuthClient) -> None:
    for form in ({**FORM, "extra": 1}, {**FORM, "username": "?"}, {**FORM, "password": "s3cret!"}):
        text = (await client.post("signup", **form)).text
        assert PASSWORD not in text
        assert "s3cret!" not in text
        assert INVITE not in text


@pytest.mark.parametrize("field", ["username", "password", "invite_code", "birth_date", "other"])
async def test_half_a_character(client: AuthClient, field: str) -> None:
    """A lone surrogate is good JSON and no text."""
    if field == "other":
        field = "\\ud800"
    body = "{" + ",".join(f'"{name}":"{value}"' for name, value in {**FORM, field: "\\ud800" * 10}.items())
    response = await client.http.post(
        "/api/auth/signup", content=body + "}", headers={"Content-Type": "application/json"}
    )
    assert answer_of(response) == (422, "invalid_data")


async def test_minors(client: AuthClient) -> None:
    # The clock says 2023-11-14.
    assert answer_of(await client.post("signup", **{**FORM, "birth_date": "2005-11-15"})) == (403, "underage")
    assert answer_of(await client.post("signup", **{**FORM, "birth_date": "2030-01-01"})) == (403, "underage")
    assert client.store.asked["sign_up"] == 0
    assert (await client.post("signup", **{**FORM, "birth_date": "2005-11-14"})).status_code == 201


@pytest.mark.parametrize(
    ("birth", "today", "adult"),
    [
        ("2000-06-15", "2018-06-14", False),
        ("2000-06-15", "2018-06-15", True),
        ("2000-02-29", "2018-02-28", False),
        ("2000-02-29", "2018-03-01", True),
        ("2000-12-31", "2018-01-01", False),
        ("2000-01-01", "2018-12-31", True),
    ],
)
def test_coming_of_age(birth: str, today: str, adult: bool) -> None:
    assert is_adult(date.fromisoformat(birth), date.fromisoformat(today)) is adult


async def test_no_tokens_without_a_durable_account(client: AuthClient) -> None:
    client.store.error = Unavailable("away")
    assert answer_of(await client.post("signup", **FORM)) == (503, "unavailable")


async def test_a_sign_up_gives_no_role(client: AuthClient) -> None:
    assert client.bearer(await client.post("signup", **FORM)).role is Role.STANDARD
