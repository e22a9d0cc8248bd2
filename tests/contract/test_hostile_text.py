"""Text that would be SQL if anybody let it: stored and found as it is, or refused, and never run."""

from __future__ import annotations

from collections.abc import Awaitable

import pytest

from persistence.postgres.account_stores import AccountStores
from runtime.errors import IdReused, Rejected
from tests.contract.people import ADMIN, BIRTH_DATE, HOUR_S, digest, fetch, sign_up

HOSTILE = [
    "'; DROP TABLE accounts CASCADE; --",
    "' OR '1'='1",
    "\\'; DELETE FROM credentials; --",
    "$1",
    "$$; UPDATE accounts SET role = 'ADMIN'; $$",
    "%",
    "____%",
    "{}",
    "{0}%s%(x)s",
    '"}, "role": "ADMIN", {"',
    "by u_other: x",
    "player:u_1",
    "\n\r\t\x1b",
    "\N{PILE OF POO}\u202e\u0130",
    "x" * 100_000,
    "a\x00b",
    "\ud800",
]


def shown(text: str) -> str:
    return ascii(text[:20])


async def attempted(call: Awaitable[object]) -> object:
    """The result, or the error that a client may be told."""
    try:
        return await call
    except (Rejected, IdReused) as error:
        return error


@pytest.mark.parametrize("text", HOSTILE, ids=shown)
async def test_hostile_text_is_text(stores: AccountStores, dsn: str, text: str) -> None:
    await sign_up(stores, "u_1", "ann")
    await stores.administration.create_admin(ADMIN, "admin", "hash", "cli", "1")

    async def people() -> list[list[tuple[object, ...]]]:
        return [
            await fetch(
                dsn,
                "SELECT user_id, username, kind, role, banned_at FROM accounts"
                " WHERE user_id IN ('u_1', $1) ORDER BY user_id",
                ADMIN,
            ),
            await fetch(dsn, "SELECT user_id, password_hash FROM credentials ORDER BY user_id"),
            await fetch(dsn, "SELECT user_id, birth_date FROM personal_data ORDER BY user_id"),
        ]

    before = await people()
    accounts, credentials, administration = stores.accounts, stores.credentials, stores.administration
    invite_hash = digest("for u_2")
    calls: list[Awaitable[object]] = [
        accounts.account(text),
        accounts.account_named(text),
        credentials.credentials(text),
        credentials.credentials_of(text),
        credentials.sign_up("u_2", text, "hash", BIRTH_DATE, invite_hash, from_guest=False),
        credentials.change_password(text, text, text),
        credentials.change_password("u_1", text, "new"),
        stores.refresh_tokens.open(text, digest("a"), HOUR_S),
        stores.refresh_tokens.revoke_all(text),
        administration.ban(text, ADMIN, text, "a"),
        administration.unban(text, ADMIN, text, "b"),
        administration.change_role(text, "VIP", ADMIN, text, "c"),
        administration.change_role("u_1", text, ADMIN, text, "d"),
        administration.create_admin("u_2", text, "hash", ADMIN, "e"),
        stores.players.find(ADMIN, username=text, user_id=None),
        stores.players.find(ADMIN, username=None, user_id=text),
        stores.players.find(ADMIN, username=text, user_id=text),
        stores.players.account(ADMIN, text),
        stores.players.has_session(text),
        stores.players.ledger(ADMIN, text, None, 10),
        stores.personal_data.export(text),
        stores.personal_data.ledger(text, None, 10),
        stores.personal_data.erase(text),
    ]
    for call in calls:
        result = await attempted(call)
        assert result in (None, [], False, ([], None)) or isinstance(result, Rejected)
    if text not in ("a\x00b", "\ud800"):
        await administration.unban("u_1", text, text, text[:1000])
        await stores.audit_log.append(text, text, text, {text: text}, text)
        await stores.invites.create(digest("x"), 1, None, text, text, "2")
        _, row, unban = await stores.audit_log.read(ADMIN, None, 3)
        assert (row.admin, row.action, row.target, row.details, row.reason) == (
            (text,) * 3 + ({text: text}, text)
        )
        assert (unban.admin, unban.reason) == (text, text)
        await accounts.create_guest(text)
        guest = await accounts.account(text)
        assert guest is not None
        assert guest.user_id == text
    else:
        for call in (
            accounts.create_guest(text),
            administration.ban("u_1", ADMIN, text, "f"),
            administration.ban("u_1", ADMIN, "", text),
            stores.invites.create(digest("x"), 1, None, text, ADMIN, "2"),
            stores.audit_log.append(text, "", "", {}, ""),
            stores.audit_log.append("", "", "", {text: 1}, ""),
        ):
            result = await attempted(call)
            assert isinstance(result, Rejected)
            assert result.code == "invalid_data"
    assert await people() == before
