"""What is known about a person, and that it is gone when they ask for it, while their games stay."""

from __future__ import annotations

import pytest

from persistence.postgres.account_stores import AccountStores
from persistence.postgres.audit import audit
from runtime.behavior import Transfer
from runtime.errors import Rejected
from runtime.identity import ActorId
from tests.contract.people import ADMIN, BIRTH_DATE, HOUR_S, digest, fetch, sign_up, value
from tests.contract.storages import PostgresStorage
from tests.contract.turns import batch, stake, turn, welcome

NAME = "Wilhelmina-77"
KEPT = ("journal", "ledger", "balances", "snapshots", "outbox", "reminders")


async def anywhere(dsn: str, *texts: str) -> list[tuple[str, str]]:
    """The tables, whichever there are, with a row that has one of the texts in it; with the text."""
    tables = [
        table
        for (table,) in await fetch(
            dsn,
            "SELECT table_name FROM information_schema.tables"
            " WHERE table_schema = 'public' AND table_type = 'BASE TABLE' ORDER BY 1",
        )
    ]
    assert {"accounts", "audit_log", "personal_data", "journal", "login_attempts"} <= set(tables)
    found = []
    for table in tables:
        whole = "\n".join(text for (text,) in await fetch(dsn, f"SELECT t::text FROM {table} t")).lower()
        found += [(table, text) for text in texts if text.lower() in whole]
    return found


async def test_erasure_takes_the_person_and_leaves_the_games(
    stores: AccountStores, postgres: PostgresStorage, dsn: str
) -> None:
    # Everything that writes about a person.
    await sign_up(stores, "u_1", NAME)
    await sign_up(stores, "u_2", "somebody-else")
    await stores.credentials.change_password("u_1", "hash of u_1", "a new hash")
    key = digest(NAME.lower())
    await stores.login_attempts.count(key, 5, 600)
    await stores.login_attempts.count(digest("password:u_1"), 5, 600)
    await stores.login_attempts.count(digest("somebody-else"), 5, 600)
    await stores.refresh_tokens.open("u_1", digest("a"), HOUR_S)
    await stores.refresh_tokens.rotate(digest("a"), digest("b"), HOUR_S, 10)
    await stores.players.find(ADMIN, username=NAME, user_id=None)
    await stores.players.find(ADMIN, username=NAME.upper(), user_id="u_1")
    await stores.players.account(ADMIN, "u_1")
    await stores.administration.change_role("u_1", "VIP", ADMIN, "plays a lot", "1")
    await stores.administration.ban("u_1", ADMIN, "insults", "2")
    await stores.administration.unban("u_1", ADMIN, "apologised", "3")
    incarnation = await postgres.membership.register("host", "unix:x", 60.0)
    gift = Transfer("faucet:admin", "player:u_1", 10, f"by {ADMIN}: a present")
    await postgres.journal().commit(
        batch(incarnation, turn(ActorId("session/u_1"), 1, welcome("u_1"), gift, stake("u_1", 3)))
    )
    games = [await fetch(dsn, f"SELECT * FROM {table}") for table in KEPT]
    audited = await fetch(dsn, "SELECT * FROM audit_log ORDER BY id")
    personal = (NAME, BIRTH_DATE.isoformat(), "a new hash", key.hex(), digest("a").hex(), digest("b").hex())
    before = await anywhere(dsn, *personal)
    assert {text for _, text in before} == set(personal), "the search can find them"

    await stores.personal_data.erase("u_1")
    await stores.personal_data.erase("u_1")

    # The other one's birth date is the same.
    assert await anywhere(dsn, *personal) == [("personal_data", BIRTH_DATE.isoformat())]
    assert await fetch(dsn, "SELECT user_id FROM personal_data") == [("u_2",)]
    assert [await fetch(dsn, f"SELECT * FROM {table}") for table in KEPT] == games
    assert all(games[:3])
    assert (await audit(dsn)).ok
    audited_now = await fetch(dsn, "SELECT * FROM audit_log ORDER BY id")
    assert audited_now[: len(audited)] == audited
    [added] = audited_now[len(audited) :]
    assert added[2:5] == ("u_1", "erase_account", "u_1")
    account = await stores.accounts.account("u_1")
    assert account is not None
    assert (account.kind, account.username) == ("erased", None)
    revocations = await stores.revocations.after(0, HOUR_S, 10)
    assert [row.because for row in revocations] == ["password", "role", "ban", "erased"]
    assert await stores.credentials.credentials_of("u_1") is None
    assert await value(dsn, "SELECT count(*) FROM login_attempts") == 1
    # The name is free, for somebody else.
    await sign_up(stores, "u_3", NAME)


async def test_a_guest_and_a_banned_player_can_be_erased(stores: AccountStores) -> None:
    await stores.accounts.create_guest("u_1")
    await stores.personal_data.erase("u_1")
    await sign_up(stores, "u_2", "ann")
    await stores.administration.ban("u_2", ADMIN, "insults", "1")
    await stores.personal_data.erase("u_2")
    account = await stores.accounts.account("u_2")
    assert account is not None
    assert account.ban_reason is None
    with pytest.raises(Rejected) as caught:
        await stores.personal_data.erase("u_3")
    assert caught.value.code == "account_unknown"


async def test_a_person_gets_what_is_known_about_them(stores: AccountStores) -> None:
    await sign_up(stores, "u_1", NAME)
    for token in ("a", "b"):
        await stores.refresh_tokens.open("u_1", digest(token), HOUR_S)
    found = await stores.personal_data.export("u_1")
    assert found is not None
    assert found.account == await stores.accounts.account("u_1")
    assert found.birth_date == BIRTH_DATE
    assert found.password_changed_at is not None
    assert len(found.sign_ins) == 2
    assert found.sign_ins[0] > found.sign_ins[1]
    await stores.accounts.create_guest("u_2")
    guest = await stores.personal_data.export("u_2")
    assert guest is not None
    assert (guest.birth_date, guest.password_changed_at, list(guest.sign_ins)) == (None, None, [])
    assert await stores.personal_data.export("u_3") is None
