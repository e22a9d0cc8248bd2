"""Refresh tokens on Postgres: rotated once, and ended as a family when one comes back."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest

from persistence.postgres.account_stores import AccountStores
from runtime.errors import Rejected
from tests.contract.people import ADMIN, HOUR_S, codes, digest, execute, fetch, sign_up, value

GRACE_S = 10.0


@pytest.fixture(autouse=True)
async def guest(stores: AccountStores) -> None:
    await stores.accounts.create_guest("u_1")


async def opened(stores: AccountStores, token: str = "a", user_id: str = "u_1") -> None:
    await stores.refresh_tokens.open(user_id, digest(token), HOUR_S)


async def rotate(stores: AccountStores, token: str, successor: str, grace_s: float = GRACE_S) -> str:
    """What came of it: ``granted``, or the refusal's code."""
    try:
        grant = await stores.refresh_tokens.rotate(digest(token), digest(successor), HOUR_S, grace_s)
    except Rejected as error:
        return error.code
    assert grant.account.user_id == "u_1"
    return "granted"


async def test_each_token_leads_to_the_next(stores: AccountStores, dsn: str) -> None:
    grant = await stores.refresh_tokens.open("u_1", digest("a"), HOUR_S)
    assert (grant.account.user_id, grant.account.kind, grant.account.role) == ("u_1", "guest", "STANDARD")
    assert grant.issued_at.microsecond == 0
    assert await rotate(stores, "a", "b") == "granted"
    assert await rotate(stores, "b", "c") == "granted"
    # Twice in a row, whose answers were both lost.
    assert await rotate(stores, "a", "b") == "granted"
    assert await rotate(stores, "nobody's", "x") == "refresh_invalid"
    assert await rotate(stores, "", "") == "refresh_invalid"
    assert await value(dsn, "SELECT count(*) FROM refresh_tokens") == 3
    assert await value(dsn, "SELECT count(DISTINCT family_id) FROM refresh_tokens") == 1


async def test_fifty_at_once_rotate_once_and_get_the_same_successor(stores: AccountStores, dsn: str) -> None:
    await opened(stores)
    assert await asyncio.gather(*(rotate(stores, "a", "b") for _ in range(50))) == ["granted"] * 50
    rows = await fetch(dsn, "SELECT hash, rotated_at IS NULL FROM refresh_tokens ORDER BY issued_at")
    assert rows == [(digest("a"), False), (digest("b"), True)]
    assert await rotate(stores, "b", "c") == "granted"


async def test_a_successor_of_another_key_is_none(stores: AccountStores, dsn: str) -> None:
    await opened(stores)
    results = await asyncio.gather(*(rotate(stores, "a", f"b{number}") for number in range(10)))
    assert sorted(results) == ["granted"] + ["refresh_invalid"] * 9
    assert await value(dsn, "SELECT count(*) FROM refresh_tokens") == 2


async def test_a_token_that_comes_back_ends_its_family(stores: AccountStores, dsn: str) -> None:
    await opened(stores)
    await opened(stores, "other")
    assert await rotate(stores, "a", "b") == "granted"
    assert await rotate(stores, "b", "c") == "granted"
    await execute(dsn, "UPDATE refresh_tokens SET rotated_at = rotated_at - interval '9 s'")
    assert await rotate(stores, "a", "b") == "granted"
    await execute(dsn, "UPDATE refresh_tokens SET rotated_at = rotated_at - interval '1 s'")
    grant = await stores.refresh_tokens.open("u_1", digest("later"), HOUR_S)
    results = await asyncio.gather(*(rotate(stores, "a", "b") for _ in range(20)))
    assert sorted(results) == ["refresh_reused"] + ["refresh_revoked"] * 19
    assert await rotate(stores, "c", "d") == "refresh_revoked"
    [revocation] = await stores.revocations.after(0, HOUR_S, 10)
    assert (revocation.user_id, revocation.because) == ("u_1", "refresh_reused")
    assert grant.issued_at < revocation.not_before
    assert await rotate(stores, "other", "other2") == "granted", "another sign-in goes on"


async def test_while_its_successor_is_unused_a_token_may_come_for_longer(
    stores: AccountStores, dsn: str
) -> None:
    await opened(stores)
    assert await rotate(stores, "a", "b") == "granted"
    await execute(dsn, "UPDATE refresh_tokens SET rotated_at = rotated_at - interval '50 s'")
    assert await asyncio.gather(*(rotate(stores, "a", "b") for _ in range(20))) == ["granted"] * 20
    assert await rotate(stores, "a", "x") == "refresh_reused", "of another key"
    await opened(stores, "c")
    assert await rotate(stores, "c", "d") == "granted"
    await execute(dsn, "UPDATE refresh_tokens SET rotated_at = rotated_at - interval '60 s'")
    assert await rotate(stores, "c", "d") == "refresh_reused"
    assert await rotate(stores, "d", "e") == "refresh_revoked"


async def test_without_grace_one_of_many_wins_and_the_family_ends(stores: AccountStores) -> None:
    await opened(stores)
    results = await asyncio.gather(*(rotate(stores, "a", "b", grace_s=0) for _ in range(50)))
    assert sorted(results) == ["granted", "refresh_reused"] + ["refresh_revoked"] * 48
    assert len(await stores.revocations.after(0, HOUR_S, 10)) == 1


async def test_tokens_expire(stores: AccountStores, dsn: str) -> None:
    await opened(stores)
    await execute(dsn, "UPDATE refresh_tokens SET expires_at = clock_timestamp()")
    assert await rotate(stores, "a", "b") == "refresh_expired"


async def test_logging_out_ends_one_family_or_all(stores: AccountStores) -> None:
    for token in ("a", "b", "c"):
        await opened(stores, token)
    assert await rotate(stores, "a", "a2") == "granted"
    # By a token that was exchanged already: whichever the client still has.
    await stores.refresh_tokens.revoke_family(digest("a"))
    await stores.refresh_tokens.revoke_family(digest("unknown"))
    assert await rotate(stores, "a2", "a3") == "refresh_revoked"
    assert await rotate(stores, "b", "b2") == "granted"
    assert await stores.revocations.after(0, HOUR_S, 10) == []
    await stores.refresh_tokens.revoke_all("u_1")
    await stores.refresh_tokens.revoke_all("nobody")
    assert await rotate(stores, "b2", "b3") == "refresh_revoked"
    assert await rotate(stores, "c", "c2") == "refresh_revoked"
    assert [row.because for row in await stores.revocations.after(0, HOUR_S, 10)] == ["logout"]
    await opened(stores, "d")
    assert await rotate(stores, "d", "d2") == "granted"


async def test_only_those_who_may_enter_get_a_token(stores: AccountStores, dsn: str) -> None:
    await opened(stores)
    await stores.administration.ban("u_1", ADMIN, "cheats", "1")
    await stores.accounts.create_guest("u_2")
    await stores.personal_data.erase("u_2")
    for user_id, code in (("u_1", "banned"), ("u_2", "account_unknown"), ("u_3", "account_unknown")):
        with pytest.raises(Rejected) as caught:
            await opened(stores, "new", user_id)
        assert caught.value.code == code
    assert await rotate(stores, "a", "b") == "banned"
    await stores.administration.unban("u_1", ADMIN, "was somebody else", "2")
    assert await rotate(stores, "a", "b") == "refresh_revoked"
    assert await value(dsn, "SELECT count(*) FROM refresh_families WHERE revoked_at IS NULL") == 0


async def test_nobody_slips_in_while_they_are_banned(stores: AccountStores, dsn: str) -> None:
    await opened(stores)
    results = await asyncio.gather(
        *(opened(stores, f"token {number}") for number in range(10)),
        rotate(stores, "a", "b"),
        stores.administration.ban("u_1", ADMIN, "cheats", "1"),
        *(opened(stores, f"token {number}") for number in range(10, 20)),
        return_exceptions=True,
    )
    assert set(codes(results)) <= {"done", "banned"}
    assert await value(dsn, "SELECT count(*) FROM refresh_families WHERE revoked_at IS NULL") == 0


async def test_a_grant_is_void_by_every_later_change_and_by_no_earlier_one(stores: AccountStores) -> None:
    # As fast as it goes: several within one second, which is the unit of tokens.
    for change in range(1, 4):
        before = await stores.refresh_tokens.open("u_1", digest(f"before {change}"), HOUR_S)
        role = ("VIP", "PREMIUM")[change % 2]
        changed = await stores.administration.change_role("u_1", role, ADMIN, "", str(change))
        assert changed.change == change
        after = await stores.refresh_tokens.open("u_1", digest(f"after {change}"), HOUR_S)
        revocation = (await stores.revocations.after(0, HOUR_S, 10))[-1]
        assert before.issued_at < revocation.not_before <= after.issued_at
        assert (after.account.role, after.account.role_changes) == (role, change)
        renewed = await stores.refresh_tokens.rotate(
            digest(f"before {change}"), digest(f"next {change}"), HOUR_S, GRACE_S
        )
        assert renewed.account.role == role


async def test_nothing_piles_up(stores: AccountStores, dsn: str) -> None:
    for number in range(6):
        await opened(stores, f"old {number}")
    assert await rotate(stores, "old 5", "old 5, next") == "granted"
    await execute(
        dsn,
        "UPDATE refresh_families SET expires_at = 'yesterday';"
        "UPDATE refresh_tokens SET expires_at = 'yesterday'",
    )
    for number in range(3):
        await opened(stores, f"new {number}")
    assert await value(dsn, "SELECT count(*) FROM refresh_tokens") == 3
    # A family that goes on forgets its expired tokens.
    await rotate(stores, "new 0", "new 0, next")
    await execute(dsn, "UPDATE refresh_tokens SET expires_at = 'yesterday' WHERE rotated_at IS NOT NULL")
    await rotate(stores, "new 0, next", "new 0, third")
    assert await rotate(stores, "new 0", "new 0, next") == "refresh_invalid"


async def test_an_open_that_is_repeated_is_one_family(stores: AccountStores, dsn: str) -> None:
    await asyncio.gather(*(opened(stores) for _ in range(10)))
    assert await value(dsn, "SELECT count(*) FROM refresh_families") == 1
    await sign_up(stores, "u_2", "ann")


async def test_whoever_read_a_revocation_has_missed_none_before_it(stores: AccountStores, dsn: str) -> None:
    await stores.accounts.create_guest("u_2")
    slow = await asyncpg.connect(dsn)
    transaction = slow.transaction()
    await transaction.start()
    await slow.execute("SELECT void_access_tokens('u_1', 'logout')")
    fast = asyncio.create_task(stores.refresh_tokens.revoke_all("u_2"))
    async with asyncio.timeout(30):
        while not await value(
            dsn, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        ):
            await asyncio.sleep(0.01)
    assert await stores.revocations.after(0, HOUR_S, 10) == []
    await transaction.commit()
    await fast
    first, second = await stores.revocations.after(0, HOUR_S, 10)
    assert (first.user_id, second.user_id) == ("u_1", "u_2")
    assert first.id < second.id
    assert await stores.revocations.after(first.id, HOUR_S, 10) == [second]
    assert await stores.revocations.after(0, HOUR_S, 1) == [first]
    await execute(dsn, "UPDATE revocations SET created_at = 'yesterday' WHERE user_id = 'u_1'")
    assert await stores.revocations.after(0, HOUR_S, 10) == [second]
    await slow.close()
