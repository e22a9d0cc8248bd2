"""Accounts on Postgres: guests, names, and the schema's way here."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator

import asyncpg
import pytest
from alembic import command

from persistence.embedded.postgres import EmbeddedPostgres
from persistence.postgres import migrate as migration
from persistence.postgres.account_stores import AccountStores
from runtime.errors import Unavailable
from tests.contract.people import execute, fetch, sign_up


async def test_a_guest_exists_once_made(stores: AccountStores) -> None:
    assert await stores.accounts.account("u_1") is None
    await stores.accounts.create_guest("u_1")
    await stores.accounts.create_guest("u_1")
    guest = await stores.accounts.account("u_1")
    assert guest is not None
    assert (guest.kind, guest.username, guest.role, guest.role_changes) == ("guest", None, "STANDARD", 0)
    assert (guest.banned_at, guest.ban_reason) == (None, None)
    assert await stores.accounts.account("u_2") is None


async def test_names_are_found_whatever_their_case_and_by_no_other_letter(stores: AccountStores) -> None:
    await sign_up(stores, "u_1", "Kim.I")
    for name in ("Kim.I", "kim.i", "KIM.I"):
        found = await stores.accounts.account_named(name)
        assert found is not None
        assert (found.user_id, found.username) == ("u_1", "Kim.I")
    # A Kelvin sign and a dotted capital I, which some lower-case to k and i; wildcards.
    for name in ("\u212aim.I", "Kim.\u0130", "Kim_I", "K%", "", "kim.i "):
        assert await stores.accounts.account_named(name) is None


async def test_without_a_database_the_client_is_told_to_retry() -> None:
    stores = AccountStores("postgresql://nobody@/nowhere?host=/nonexistent", timeout_s=0.2)
    with pytest.raises(Unavailable) as caught:
        await stores.accounts.create_guest("u_1")
    assert caught.value.retryable
    await stores.close()


@pytest.fixture
async def revision_3(postgres_server: EmbeddedPostgres) -> AsyncIterator[str]:
    """A database of the release before accounts had names."""
    admin = await asyncpg.connect(postgres_server.dsn.replace("/casino?", "/postgres?"))
    await admin.execute("CREATE DATABASE revision_3")
    dsn = postgres_server.dsn.replace("/casino?", "/revision_3?")
    output = io.StringIO()
    command.upgrade(migration._config(output), "base:0003", sql=True)
    await execute(dsn, output.getvalue())
    yield dsn
    await admin.execute("DROP DATABASE revision_3 WITH (FORCE)")
    await admin.close()


async def test_guests_of_the_earlier_release_stay(revision_3: str) -> None:
    create_guest = "INSERT INTO accounts (user_id, kind) VALUES ('%s', 'guest') ON CONFLICT DO NOTHING"
    await execute(revision_3, create_guest % "u_old")
    await execute(
        revision_3, "INSERT INTO ledger VALUES (1, 0, 'faucet:welcome', 'player:u_old', 1000, 'welcome')"
    )
    before = await fetch(revision_3, "SELECT user_id, kind, created_at FROM accounts")
    ledger = await fetch(revision_3, "SELECT * FROM ledger")
    assert before
    assert ledger
    assert await migration.current_revision(revision_3) == "0003"
    await asyncio.gather(*(migration.migrate(revision_3) for _ in range(3)))
    assert await migration.current_revision(revision_3) == migration.head_revision()
    assert await fetch(revision_3, "SELECT user_id, kind, created_at FROM accounts") == before
    assert await fetch(revision_3, "SELECT * FROM ledger") == ledger
    # What gateways of that release say is still understood.
    await execute(revision_3, create_guest % "u_late")
    stores = AccountStores(revision_3, timeout_s=60)
    for user_id in ("u_old", "u_late"):
        await sign_up(stores, user_id, f"name-of-{user_id}", from_guest=True)
        account = await stores.accounts.account(user_id)
        assert account is not None
        assert (account.kind, account.role) == ("full", "STANDARD")
    await stores.close()
