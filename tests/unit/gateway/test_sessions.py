"""Login, refresh, logout, password and me: what is let in, and what guessing brings."""

from __future__ import annotations

import asyncio
import logging
import threading
from typing import Any

import pytest
from pwdlib.hashers.argon2 import Argon2Hasher

from gateway.passwords import Passwords
from gateway.revocations import Verdict
from gateway.roles import Role
from runtime.errors import Unavailable
from tests.unit.gateway.auth_client import PASSWORD, AuthClient, answer_of
from tests.unit.gateway.fakes import CHEAP


@pytest.fixture
def client() -> AuthClient:
    return AuthClient()


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What passwords were compared with."""
    hashed: list[str] = []
    verify = Argon2Hasher.verify

    def spy(self: Argon2Hasher, password: str, stored: str) -> bool:
        hashed.append(stored)
        return verify(self, password, stored)

    monkeypatch.setattr(Argon2Hasher, "verify", spy)
    return hashed


async def test_login(client: AuthClient) -> None:
    await client.account("Ann", role="VIP", role_changes=1)
    response = await client.log_in("aNN")
    assert response.status_code == 200
    assert response.json()["role"] == "VIP"
    assert client.bearer(response)[:2] == ("u_ann", Role.VIP)


async def test_a_wrong_password_and_an_unknown_name_are_the_same(
    client: AuthClient, hashed: list[str]
) -> None:
    await client.account("ann")
    wrong, unknown = await client.log_in("ann", "wrong"), await client.log_in("bob", "wrong")
    assert answer_of(wrong) == (401, "wrong_credentials")
    assert wrong.json() == unknown.json()
    assert wrong.headers == unknown.headers
    assert len(hashed) == 2, "one password looked at for either"


async def test_a_guest_cannot_log_in(client: AuthClient) -> None:
    user_id = (await client.post("guest")).json()["user_id"]
    assert answer_of(await client.log_in(user_id, "anything")) == (401, "wrong_credentials")


@pytest.mark.parametrize("name", ["ann", "nobody"])
async def test_a_hundred_wrong_logins_at_once(client: AuthClient, hashed: list[str], name: str) -> None:
    await client.account("ann")
    answers = await asyncio.gather(*(client.log_in(name, f"wrong-{number}") for number in range(100)))
    codes = [answer_of(answer) for answer in answers]
    assert codes.count((401, "wrong_credentials")) == 5
    assert codes.count((429, "login_locked")) == 95
    assert len(hashed) == 5
    locked = next(answer for answer in answers if answer.status_code == 429)
    assert 1 <= int(locked.headers["retry-after"]) <= 600
    assert answer_of(await client.log_in(name)) == (429, "login_locked"), "whatever the password"
    client.clock.ms += 600_000
    assert (await client.log_in("ann")).status_code == 200


async def test_a_success_gives_the_attempts_back(client: AuthClient) -> None:
    await client.account("ann")
    for _ in range(3):
        for _ in range(4):
            assert (await client.log_in("ann", "wrong")).status_code == 401
        assert (await client.log_in("ann")).status_code == 200


async def test_the_pool_of_hashes_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    go = threading.Event()
    client = AuthClient(Passwords(CHEAP, threads=2, waiting_max=2))
    monkeypatch.setattr(Argon2Hasher, "verify", lambda *_: go.wait(10) and False)
    asked = [asyncio.ensure_future(client.log_in(f"user-{number}", "wrong")) for number in range(50)]
    async with asyncio.timeout(10):
        while sum(each.done() for each in asked) < 46:
            await asyncio.sleep(0.005)
    for each in (each for each in asked if each.done()):
        assert answer_of(each.result()) == (503, "overloaded")
        assert each.result().headers["retry-after"] == "1"
    assert answer_of(await client.log_in("late", "wrong")) == (503, "overloaded")
    assert client.store.asked["count"] == 4, "what is not looked at does not count"
    go.set()
    statuses = [each.status_code for each in await asyncio.gather(*asked)]
    assert sorted(statuses) == [401] * 4 + [503] * 46


async def test_without_the_database_nobody_gets_in(client: AuthClient, hashed: list[str]) -> None:
    await client.account("ann")
    client.store.error = Unavailable("away")
    assert answer_of(await client.log_in("ann")) == (503, "unavailable")
    assert hashed == []


async def test_the_banned(client: AuthClient) -> None:
    await client.account("ann")
    pair = (await client.log_in()).json()
    client.store.ban("u_ann")
    assert answer_of(await client.log_in("ann", "wrong")) == (401, "wrong_credentials")
    assert answer_of(await client.log_in("ann")) == (403, "banned")
    refused = await client.post("refresh", refresh_token=pair["refresh_token"])
    assert refused.status_code in (401, 403)


# Refreshing


async def test_fifty_refreshes_at_once(client: AuthClient) -> None:
    await client.account("ann")
    token = (await client.log_in()).json()["refresh_token"]
    answers = await asyncio.gather(*(client.post("refresh", refresh_token=token) for _ in range(50)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["refresh_token"] for answer in answers}) == 1
    assert client.store.rotations == 1


async def test_a_reused_refresh_token_ends_the_sign_in(client: AuthClient) -> None:
    await client.account("ann")
    first = (await client.log_in()).json()["refresh_token"]
    second = (await client.post("refresh", refresh_token=first)).json()["refresh_token"]
    third = (await client.post("refresh", refresh_token=second)).json()["refresh_token"]
    client.clock.ms += 10_001
    assert answer_of(await client.post("refresh", refresh_token=first)) == (401, "refresh_reused")
    refused = await client.post("refresh", refresh_token=third)
    assert answer_of(refused) == (401, "refresh_revoked")
    assert refused.headers["www-authenticate"] == "Bearer"
    assert client.store.revocations[-1].because == "refresh_reused"


async def test_a_lost_reply_may_be_asked_for_again_for_a_minute(client: AuthClient) -> None:
    await client.account("ann")
    first = (await client.log_in()).json()["refresh_token"]
    lost = (await client.post("refresh", refresh_token=first)).json()
    client.clock.ms += 59_000
    again = (await client.post("refresh", refresh_token=first)).json()
    assert again["refresh_token"] == lost["refresh_token"]
    assert client.store.rotations == 1
    client.clock.ms += 1_001
    assert answer_of(await client.post("refresh", refresh_token=first)) == (401, "refresh_reused")
    ended = await client.post("refresh", refresh_token=lost["refresh_token"])
    assert answer_of(ended) == (401, "refresh_revoked")


async def test_refresh_tokens_that_are_none(client: AuthClient) -> None:
    await client.account("ann")
    pair = (await client.log_in()).json()
    assert answer_of(await client.post("refresh", refresh_token="x" * 43)) == (401, "refresh_invalid")
    too_long = await client.post("refresh", refresh_token=pair["access_token"])
    assert answer_of(too_long) == (422, "invalid_data"), "an access token is no refresh token"
    client.clock.ms += 31 * 86_400_000
    expired = await client.post("refresh", refresh_token=pair["refresh_token"])
    assert answer_of(expired) == (401, "refresh_expired")


async def test_a_refresh_token_is_no_access_token(client: AuthClient) -> None:
    await client.account("ann")
    token = (await client.log_in()).json()["refresh_token"]
    headers = {"Authorization": f"Bearer {token}"}
    assert answer_of(await client.http.get("/api/auth/me", headers=headers)) == (401, "token_invalid")


async def test_logout(client: AuthClient) -> None:
    await client.account("ann")
    one, other = (await client.log_in()).json(), (await client.log_in()).json()
    for _ in range(2):
        response = await client.post("logout", refresh_token=one["refresh_token"])
        assert (response.status_code, response.content) == (204, b"")
    assert (await client.post("logout", refresh_token="unknown")).status_code == 204
    ended = await client.post("refresh", refresh_token=one["refresh_token"])
    assert answer_of(ended) == (401, "refresh_revoked")
    assert (await client.post("refresh", refresh_token=other["refresh_token"])).status_code == 200


async def test_logout_everywhere(client: AuthClient) -> None:
    await client.account("ann")
    await client.account("bob")
    here, there, bob = [(await client.log_in(name)).json() for name in ("ann", "ann", "bob")]
    response = await client.post("logout-everywhere", token=here["access_token"])
    assert (response.status_code, response.content) == (204, b"")
    hear_of_revocations(client)
    for pair in (here, there):
        again = await client.post("logout-everywhere", token=pair["access_token"])
        assert answer_of(again) == (401, "token_revoked")
        ended = await client.post("refresh", refresh_token=pair["refresh_token"])
        assert answer_of(ended) == (401, "refresh_revoked")
    assert client.store.revocations[-1].because == "logout"
    assert (await client.post("refresh", refresh_token=bob["refresh_token"])).status_code == 200
    assert client.bearer(await client.log_in("ann")).user_id == "u_ann", "and in again"
    assert answer_of(await client.post("logout-everywhere")) == (401, "not_authenticated")


# Who one is


async def test_me(client: AuthClient) -> None:
    await client.account("Ann", role="PREMIUM", role_changes=1)
    token = (await client.log_in()).json()["access_token"]
    response = await client.http.get("/api/auth/me", headers={"Authorization": f"Bearer {token}"})
    assert response.json() == {
        "user_id": "u_ann",
        "kind": "full",
        "username": "Ann",
        "role": "PREMIUM",
        "created_at": "2023-01-01T00:00:00Z",
    }
    guest = (await client.post("guest")).json()
    headers = {"Authorization": f"Bearer {guest['access_token']}"}
    me = (await client.http.get("/api/auth/me", headers=headers)).json()
    assert (me["user_id"], me["kind"], me["username"]) == (guest["user_id"], "guest", None)
    client.store.accounts[guest["user_id"]].kind = "erased"
    gone = await client.http.get("/api/auth/me", headers=headers)
    assert answer_of(gone) == (401, "account_unknown")
    assert answer_of(await client.http.get("/api/auth/me")) == (401, "not_authenticated")


# Another password


async def change(client: AuthClient, token: str, old: str = PASSWORD, new: str = "battery staple") -> Any:
    return await client.post("password", token=token, old_password=old, new_password=new)


def hear_of_revocations(client: AuthClient) -> None:
    for each in client.store.revocations:
        verdict = Verdict(int(each.not_before.timestamp()), each.because)
        client.parts.tokens.revocations.add(each.user_id, verdict)


async def test_a_new_password(client: AuthClient) -> None:
    await client.account("ann")
    here, there = (await client.log_in()).json(), (await client.log_in()).json()
    response = await change(client, here["access_token"])
    assert response.status_code == 200
    hear_of_revocations(client)
    assert client.bearer(response).user_id == "u_ann"
    for old in (here, there):
        assert answer_of(await change(client, old["access_token"])) == (401, "token_revoked")
        ended = await client.post("refresh", refresh_token=old["refresh_token"])
        assert answer_of(ended) == (401, "refresh_revoked")
    assert answer_of(await client.log_in()) == (401, "wrong_credentials")
    assert (await client.log_in(password="battery staple")).status_code == 200
    fresh = response.json()["refresh_token"]
    assert (await client.post("refresh", refresh_token=fresh)).status_code == 200


async def test_the_old_password_is_guessed_no_faster_here(client: AuthClient) -> None:
    await client.account("ann")
    token = (await client.log_in()).json()["access_token"]
    for _ in range(5):
        assert answer_of(await change(client, token, old="wrong")) == (403, "wrong_password")
    locked = await change(client, token)
    assert answer_of(locked) == (429, "login_locked")
    assert 1 <= int(locked.headers["retry-after"]) <= 600
    assert (await client.log_in()).status_code == 200, "a thief of a token does not lock the door"


async def test_a_locked_name_does_not_keep_its_owner_from_another_password(client: AuthClient) -> None:
    await client.account("ann")
    token = (await client.log_in()).json()["access_token"]
    for _ in range(6):
        await client.log_in("ann", "wrong")
    assert answer_of(await client.log_in()) == (429, "login_locked")
    assert (await change(client, token)).status_code == 200


async def test_no_password_for_guests_and_no_weak_ones(client: AuthClient) -> None:
    await client.account("ann")
    guest = (await client.post("guest")).json()["access_token"]
    assert answer_of(await change(client, guest)) == (409, "no_password")
    token = (await client.log_in()).json()["access_token"]
    assert answer_of(await change(client, token, new="short")) == (422, "invalid_data")
    assert answer_of(await client.post("password", old_password="x", new_password="y" * 8)) == (
        401, "not_authenticated",
    )  # fmt: skip


async def test_logins_are_counted_and_leave_lines_without_names(
    client: AuthClient, caplog: pytest.LogCaptureFixture
) -> None:
    await client.account("Annabella")
    counters = client.parts.fanout.counters
    with caplog.at_level(logging.INFO):
        assert (await client.log_in("annabella")).status_code == 200
        for _ in range(6):
            await client.log_in("annabella", "wrong")
    assert (counters.logins_succeeded, counters.logins_failed, counters.logins_locked) == (1, 5, 1)
    said = [(record.levelname, record.message) for record in caplog.records if "gateway" in record.name]
    assert said == [
        ("INFO", "signed in"),
        *[("INFO", "sign-in refused")] * 5,
        ("WARNING", "password attempt while locked"),
    ]
    assert "annabella" not in " ".join(str(vars(r) | {"actor": ""}) for r in caplog.records).lower()
