"""Signing up with an invite, and passwords, also when many try at once."""

from __future__ import annotations

import asyncio
import datetime

import pytest

from persistence.postgres.account_stores import AccountStores
from runtime.errors import Rejected
from tests.contract.people import (
    ADMIN,
    BIRTH_DATE,
    HOUR_S,
    codes,
    digest,
    execute,
    fetch,
    invite,
    sign_up,
    value,
)


async def test_a_sign_up_makes_an_account_to_log_in_to(stores: AccountStores, dsn: str) -> None:
    await sign_up(stores, "u_1", "Ann")
    found = await stores.credentials.credentials("aNN")
    assert found is not None
    assert (found.account.user_id, found.account.kind, found.account.username) == ("u_1", "full", "Ann")
    assert found.password_hash == "hash of u_1"
    assert await stores.credentials.credentials_of("u_1") == found
    assert await stores.credentials.credentials("ben") is None
    assert await stores.credentials.credentials_of("u_2") is None
    assert await fetch(dsn, "SELECT user_id, birth_date FROM personal_data") == [("u_1", BIRTH_DATE)]


@pytest.mark.parametrize("uses_max", [1, 5])
async def test_an_invite_is_used_no_more_often_than_it_may(
    stores: AccountStores, dsn: str, uses_max: int
) -> None:
    code = await invite(stores, "code", uses_max)
    results = await asyncio.gather(
        *(sign_up(stores, f"u_{number}", f"name-{number}", code) for number in range(20)),
        return_exceptions=True,
    )
    assert codes(results) == ["done"] * uses_max + ["invite_invalid"] * (20 - uses_max)
    for table in ("accounts", "credentials", "personal_data"):
        assert await value(dsn, f"SELECT count(*) FROM {table}") == uses_max
    assert await value(dsn, "SELECT uses FROM invite_codes") == uses_max


@pytest.mark.parametrize("from_guest", [False, True])
async def test_a_name_in_two_spellings_at_once_is_one_account(
    stores: AccountStores, dsn: str, from_guest: bool
) -> None:
    spellings = ["ann", "ANN", "Ann", "aNn", "anN", "AnN"]
    for number in range(len(spellings)):
        await invite(stores, f"code {number}")
        if from_guest:
            await stores.accounts.create_guest(f"u_{number}")
    results = await asyncio.gather(
        *(
            sign_up(stores, f"u_{number}", name, digest(f"code {number}"), from_guest=from_guest)
            for number, name in enumerate(spellings)
        ),
        return_exceptions=True,
    )
    assert codes(results) == ["done"] + ["username_taken"] * (len(spellings) - 1)
    assert await value(dsn, "SELECT count(*) FROM accounts WHERE kind = 'full'") == 1
    assert await value(dsn, "SELECT sum(uses) FROM invite_codes") == 1, "the others keep their invite"
    assert await value(dsn, "SELECT count(*) FROM credentials") == 1


async def test_invites_end(stores: AccountStores, dsn: str) -> None:
    soon = datetime.datetime.now(datetime.UTC) + datetime.timedelta(hours=1)
    expired = await invite(stores, "expired", expires_at=soon)
    revoked = await invite(stores, "revoked")
    await execute(
        dsn,
        "UPDATE invite_codes SET expires_at = clock_timestamp() WHERE expires_at IS NOT NULL;"
        "UPDATE invite_codes SET revoked_at = clock_timestamp() WHERE expires_at IS NULL",
    )
    for code in (expired, revoked, digest("unknown"), b""):
        with pytest.raises(Rejected) as caught:
            await sign_up(stores, "u_1", "ann", code)
        assert caught.value.code == "invite_invalid"
    assert await value(dsn, "SELECT count(*) FROM accounts") == 0
    await sign_up(stores, "u_1", "ann", await invite(stores, "good", expires_at=soon))


async def test_without_an_invite_nobody_learns_which_names_there_are(stores: AccountStores) -> None:
    await sign_up(stores, "u_1", "ann")
    with pytest.raises(Rejected) as caught:
        await sign_up(stores, "u_2", "ann", digest("unknown"))
    assert caught.value.code == "invite_invalid"


async def test_a_repeated_sign_up_is_the_same_one(stores: AccountStores, dsn: str) -> None:
    code = await invite(stores, "code")
    await asyncio.gather(*(sign_up(stores, "u_1", "ann", code) for _ in range(10)))
    assert await value(dsn, "SELECT uses FROM invite_codes") == 1
    # With another password it is somebody else.
    again = await invite(stores, "another")
    with pytest.raises(Rejected) as caught:
        await stores.credentials.sign_up("u_1", "ben", "other", BIRTH_DATE, again, from_guest=False)
    assert caught.value.code == "not_a_guest"
    assert await value(dsn, "SELECT uses FROM invite_codes WHERE code_hash = $1", again) == 0


async def test_a_guest_becomes_a_full_account_under_the_same_id(stores: AccountStores, dsn: str) -> None:
    await stores.accounts.create_guest("u_1")
    await stores.refresh_tokens.open("u_1", digest("token"), HOUR_S)
    await sign_up(stores, "u_1", "ann", from_guest=True)
    assert await fetch(dsn, "SELECT user_id, kind, username FROM accounts") == [("u_1", "full", "ann")]
    with pytest.raises(Rejected) as ended:
        # Whoever else has held it while this was a guest must not hold the account.
        await stores.refresh_tokens.rotate(digest("token"), digest("next"), HOUR_S, 10)
    assert ended.value.code == "refresh_revoked"
    assert await value(dsn, "SELECT because FROM revocations WHERE user_id = 'u_1'") == "sign_up"
    await stores.accounts.create_guest("u_2")
    await stores.administration.ban("u_2", ADMIN, "cheats", "ban")
    another = await invite(stores, "another")
    for user_id, code in (("u_1", "not_a_guest"), ("u_2", "banned"), ("u_3", "not_a_guest")):
        with pytest.raises(Rejected) as caught:
            await sign_up(stores, user_id, "ben", another, from_guest=True)
        assert caught.value.code == code


@pytest.mark.parametrize("name", ["", "ab", "a" * 33, "a b", "ann\n", "änn", "ann'", "ann\x00"])
async def test_no_other_names_get_in(stores: AccountStores, dsn: str, name: str) -> None:
    with pytest.raises(Rejected) as caught:
        await sign_up(stores, "u_1", name)
    assert caught.value.code == "invalid_data"
    with pytest.raises(Rejected):
        await stores.administration.create_admin("u_1", name, "hash", "cli", "1")
    assert await value(dsn, "SELECT count(*) FROM accounts") == 0
    assert await value(dsn, "SELECT uses FROM invite_codes") == 0


async def test_a_new_password_ends_everything_that_the_old_one_opened(
    stores: AccountStores, dsn: str
) -> None:
    await sign_up(stores, "u_1", "ann")
    old = await stores.refresh_tokens.open("u_1", digest("a"), HOUR_S)
    await stores.refresh_tokens.open("u_1", digest("b"), HOUR_S)
    results = await asyncio.gather(
        *(stores.credentials.change_password("u_1", "hash of u_1", f"new {number}") for number in range(10)),
        return_exceptions=True,
    )
    assert codes(results) == ["done"] + ["password_changed"] * 9
    winner = f"new {[type(result) for result in results].index(type(None))}"
    found = await stores.credentials.credentials("ann")
    assert found is not None
    assert found.password_hash == winner
    # A repeat of the one that won, as after a lost answer.
    await stores.credentials.change_password("u_1", "hash of u_1", winner)
    for token in ("a", "b"):
        with pytest.raises(Rejected) as caught:
            await stores.refresh_tokens.rotate(digest(token), digest(f"{token}2"), HOUR_S, 10)
        assert caught.value.code == "refresh_revoked"
    [revocation] = await stores.revocations.after(0, HOUR_S, 10)
    assert (revocation.user_id, revocation.because) == ("u_1", "password")
    assert old.issued_at < revocation.not_before
    [audit] = await fetch(dsn, "SELECT admin, action, target, details FROM audit_log WHERE target <> ''")
    assert audit == ("u_1", "change_password", "u_1", "{}")
    transactions = await fetch(
        dsn,
        "SELECT xmin::text FROM credentials UNION SELECT xmin::text FROM revocations"
        " UNION SELECT xmin::text FROM audit_log WHERE target <> ''"
        " UNION SELECT xmin::text FROM refresh_families UNION SELECT xmin::text FROM accounts",
    )
    assert len(transactions) == 1
    with pytest.raises(Rejected):
        await stores.credentials.change_password("u_2", "", "new")


async def test_an_invite_can_be_looked_at_without_being_used(stores: AccountStores, dsn: str) -> None:
    look = stores.credentials.has_uses_left
    assert not await look(digest("unknown"))
    code = await invite(stores, "code", 2)
    for user_id in ("u_1", "u_2"):
        assert await look(code)
        await sign_up(stores, user_id, f"name-{user_id}", code)
    assert not await look(code)
    assert await value(dsn, "SELECT uses FROM invite_codes") == 2
    other = await invite(stores, "other")
    await execute(dsn, "UPDATE invite_codes SET expires_at = clock_timestamp() + interval '1 h'")
    assert await look(other)
    await execute(dsn, "UPDATE invite_codes SET expires_at = clock_timestamp()")
    assert not await look(other)
    await execute(dsn, "UPDATE invite_codes SET expires_at = NULL, revoked_at = clock_timestamp()")
    assert not await look(other)
