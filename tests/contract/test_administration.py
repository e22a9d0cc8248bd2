"""What administrators do: together with its audit row and the end of what it makes void, and once."""

from __future__ import annotations

import asyncio
import datetime

import asyncpg
import pytest

from persistence.postgres.account_stores import AccountStores
from runtime.errors import IdReused, Rejected
from tests.contract.people import ADMIN, HOUR_S, codes, digest, execute, fetch, invite, sign_up, value

AUDITED = "SELECT admin, action, target, reason FROM audit_log ORDER BY id"


@pytest.fixture(autouse=True)
async def guest(stores: AccountStores) -> None:
    await stores.accounts.create_guest("u_1")
    await stores.refresh_tokens.open("u_1", digest("token"), HOUR_S)


async def transactions(dsn: str, *tables: str) -> int:
    """How many transactions wrote what is in these tables now."""
    query = " UNION ".join(f"SELECT xmin::text FROM {table}" for table in tables)
    return len(await fetch(dsn, query))


async def test_a_ban_is_one_transaction(stores: AccountStores, dsn: str) -> None:
    await stores.administration.ban("u_1", ADMIN, "cheats", "1")
    account = await stores.accounts.account("u_1")
    assert account is not None
    assert account.banned_at is not None
    assert account.ban_reason == "cheats"
    [revocation] = await stores.revocations.after(0, HOUR_S, 10)
    assert (revocation.user_id, revocation.because) == ("u_1", "ban")
    assert await fetch(dsn, AUDITED) == [(ADMIN, "ban", "u_1", "cheats")]
    assert await transactions(dsn, "accounts", "revocations", "audit_log", "refresh_families") == 1

    await stores.administration.unban("u_1", ADMIN, "was somebody else", "2")
    account = await stores.accounts.account("u_1")
    assert account is not None
    assert (account.banned_at, account.ban_reason) == (None, None)
    assert (await fetch(dsn, AUDITED))[1:] == [(ADMIN, "unban", "u_1", "was somebody else")]
    assert len(await stores.revocations.after(0, HOUR_S, 10)) == 1


async def test_a_change_of_role_is_one_transaction(stores: AccountStores, dsn: str) -> None:
    changed = await stores.administration.change_role("u_1", "VIP", ADMIN, "plays a lot", "1")
    assert (changed.role, changed.change) == ("VIP", 1)
    [revocation] = await stores.revocations.after(0, HOUR_S, 10)
    assert (revocation.user_id, revocation.because) == ("u_1", "role")
    assert await fetch(dsn, AUDITED) == [(ADMIN, "change_role", "u_1", "plays a lot")]
    assert await transactions(dsn, "accounts", "revocations", "audit_log") == 1
    # The same role again: nobody is signed out for it.
    same = await stores.administration.change_role("u_1", "VIP", ADMIN, "again", "2")
    assert same.change == 1
    assert len(await stores.revocations.after(0, HOUR_S, 10)) == 1
    assert await value(dsn, "SELECT count(*) FROM audit_log") == 2
    [row, _] = await stores.audit_log.read(ADMIN, None, 2)
    assert row.details == {"role": "VIP", "before": "VIP", "change": 1}


@pytest.mark.parametrize("action", ["ban", "role", "password", "erase"])
async def test_without_its_audit_row_nothing_happens(stores: AccountStores, dsn: str, action: str) -> None:
    await sign_up(stores, "u_1", "ann", from_guest=True)
    tables = ("accounts", "credentials", "personal_data", "refresh_families", "revocations")
    before = [await fetch(dsn, f"SELECT * FROM {table}") for table in tables]
    await execute(
        dsn,
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE EXCEPTION 'no more room' USING ERRCODE = 'ZF999'; END $$;"
        "CREATE TRIGGER refuse BEFORE INSERT ON audit_log FOR EACH ROW EXECUTE FUNCTION refuse()",
    )
    calls = {
        "ban": lambda: stores.administration.ban("u_1", ADMIN, "cheats", "1"),
        "role": lambda: stores.administration.change_role("u_1", "VIP", ADMIN, "", "1"),
        "password": lambda: stores.credentials.change_password("u_1", "hash of u_1", "new"),
        "erase": lambda: stores.personal_data.erase("u_1"),
    }
    with pytest.raises(asyncpg.PostgresError, match="no more room"):
        await calls[action]()
    assert [await fetch(dsn, f"SELECT * FROM {table}") for table in tables] == before


async def test_a_repeated_command_has_effect_once(stores: AccountStores, dsn: str) -> None:
    administration = stores.administration
    changes = await asyncio.gather(
        *(administration.change_role("u_1", "VIP", ADMIN, "why", "role") for _ in range(20))
    )
    assert {(change.role, change.change) for change in changes} == {("VIP", 1)}
    await asyncio.gather(*(administration.ban("u_1", ADMIN, "cheats", "ban") for _ in range(20)))
    await administration.unban("u_1", ADMIN, "", "unban")
    # Late, and not for a second time.
    await administration.ban("u_1", ADMIN, "cheats", "ban")
    await administration.change_role("u_1", "STANDARD", ADMIN, "why", "role 2")
    assert await administration.change_role("u_1", "VIP", ADMIN, "why", "role") == changes[0]
    account = await stores.accounts.account("u_1")
    assert account is not None
    assert (account.banned_at, account.role, account.role_changes) == (None, "STANDARD", 2)
    assert [row[1] for row in await fetch(dsn, AUDITED)] == ["change_role", "ban", "unban", "change_role"]
    assert len(await stores.revocations.after(0, HOUR_S, 10)) == 3


async def test_a_command_id_stands_for_one_command(stores: AccountStores, dsn: str) -> None:
    await stores.accounts.create_guest("u_2")
    administration = stores.administration
    results = await asyncio.gather(
        administration.ban("u_1", ADMIN, "cheats", "1"),
        administration.ban("u_2", ADMIN, "cheats", "1"),
        administration.ban("u_1", ADMIN, "lies", "1"),
        administration.unban("u_1", ADMIN, "cheats", "1"),
        administration.change_role("u_1", "VIP", ADMIN, "cheats", "1"),
        invite(stores, "code"),
        stores.invites.create(digest("code 2"), 1, None, "", ADMIN, "1"),
        administration.create_admin("u_3", "ann", "hash", ADMIN, "1"),
        return_exceptions=True,
    )
    assert codes(results) == ["done"] * 2 + ["id_reused"] * 6
    assert await value(dsn, "SELECT count(*) FROM audit_log") == 2
    with pytest.raises(IdReused):
        await stores.invites.create(digest("code"), 2, None, "a friend", ADMIN, "invite code")
    # Of another administrator it is another one.
    await administration.ban("u_2", "u_admin_2", "cheats", "1")


async def test_twenty_changes_at_once_are_numbered(stores: AccountStores, dsn: str) -> None:
    roles = ["PREMIUM", "VIP", "ADMIN", "STANDARD"]
    changes = await asyncio.gather(
        *(stores.administration.change_role("u_1", roles[n % 4], ADMIN, "", str(n)) for n in range(20))
    )
    account = await stores.accounts.account("u_1")
    assert account is not None
    assert max(change.change for change in changes) == account.role_changes
    by_number = {change.change: change.role for change in changes}
    assert by_number[account.role_changes] == account.role
    rows = await fetch(dsn, "SELECT not_before FROM revocations ORDER BY id")
    assert rows == sorted(set(rows)), "each voids what was issued since the one before"


async def test_accounts_that_are_not_there(stores: AccountStores) -> None:
    await stores.accounts.create_guest("u_2")
    await stores.personal_data.erase("u_2")
    for number, user_id in enumerate(("u_2", "u_3")):
        for call in (
            stores.administration.ban(user_id, ADMIN, "x", f"a{number}"),
            stores.administration.unban(user_id, ADMIN, "x", f"b{number}"),
            stores.administration.change_role(user_id, "VIP", ADMIN, "x", f"c{number}"),
        ):
            with pytest.raises(Rejected) as caught:
                await call
            assert caught.value.code == "account_unknown"
    with pytest.raises(Rejected) as caught:
        await stores.administration.change_role("u_1", "KING", ADMIN, "x", "d")
    assert caught.value.code == "invalid_data"


async def test_the_first_administrator_needs_no_invite(stores: AccountStores, dsn: str) -> None:
    for _ in range(2):
        await stores.administration.create_admin("u_2", "Ann", "hash", "cli", "1")
    found = await stores.credentials.credentials("ann")
    assert found is not None
    assert (found.account.role, found.account.role_changes, found.password_hash) == ("ADMIN", 1, "hash")
    assert await fetch(dsn, AUDITED) == [("cli", "create_admin", "u_2", "")]
    assert await transactions(dsn, "credentials", "audit_log") == 1
    with pytest.raises(Rejected) as caught:
        await stores.administration.create_admin("u_3", "ANN", "hash", "cli", "2")
    assert caught.value.code == "username_taken"
    assert await value(dsn, "SELECT count(*) FROM audit_log") == 1


async def test_an_invite_is_made_once(stores: AccountStores, dsn: str) -> None:
    expiry = datetime.datetime(2031, 1, 2, 3, 4, 5, 678, tzinfo=datetime.UTC)
    invites = await asyncio.gather(
        *(stores.invites.create(digest("code"), 3, expiry, "Ann's friends", ADMIN, "1") for _ in range(10))
    )
    assert len(set(invites)) == 1
    made = invites[0]
    assert (made.label, made.uses_max, made.uses) == ("Ann's friends", 3, 0)
    assert (made.expires_at, made.created_by) == (expiry, ADMIN)
    [row] = await stores.audit_log.read(ADMIN, None, 10)
    assert (row.admin, row.action, row.details["uses_max"]) == (ADMIN, "create_invite", 3)
    assert await transactions(dsn, "invite_codes", "audit_log WHERE action = 'create_invite'") == 1
