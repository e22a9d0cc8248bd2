"""What a person can ask for: what is kept about them, and that it be erased."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import NamedTuple

from persistence.postgres.account_database import AccountDatabase
from persistence.postgres.accounts import Account, account_of
from persistence.postgres.player_ledger import FROM_THE_NEWEST, LEDGER_PAGE, LedgerPage, page_of

LEDGER_TURNS_MAX = 2_000
"""Turns that one page of the ledger looks at. Fewer than for administrators: whoever exports reads on by
itself, and most turns of somebody with many move gold, so that more would be looked at in vain."""

_EXPORT = (
    "SELECT "  # noqa: S608
    + ", ".join(f"a.{column}" for column in Account._fields)
    + ", p.birth_date, c.changed_at, ARRAY ("
    " SELECT f.created_at FROM refresh_families f WHERE f.user_id = a.user_id ORDER BY f.created_at DESC"
    ") AS sign_ins"
    " FROM accounts a LEFT JOIN personal_data p USING (user_id) LEFT JOIN credentials c USING (user_id)"
    " WHERE a.user_id = $1"
)


class PersonalData(NamedTuple):
    """See ``gateway.ports.PersonalDataRecord``."""

    account: Account
    birth_date: datetime.date | None
    password_changed_at: datetime.datetime | None
    sign_ins: Sequence[datetime.datetime]


class PostgresPersonalData:
    """See ``gateway.ports.PersonalDataStore``."""

    def __init__(self, database: AccountDatabase) -> None:
        self._database = database

    async def export(self, user_id: str) -> PersonalData | None:
        row = await self._database.row(_EXPORT, user_id)
        if row is None:
            return None
        return PersonalData(account_of(row), row["birth_date"], row["changed_at"], row["sign_ins"])

    async def ledger(self, user_id: str, before: int | None, limit: int) -> LedgerPage:
        rows = await self._database.rows(
            f"WITH {LEDGER_PAGE}",
            user_id,
            FROM_THE_NEWEST if before is None else before,
            limit,
            LEDGER_TURNS_MAX,
        )
        return page_of(rows, user_id, limit, LEDGER_TURNS_MAX)

    async def erase(self, user_id: str) -> None:
        await self._database.change("SELECT erase_account($1) AS outcome", user_id)
