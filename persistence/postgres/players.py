"""What administrators read about players, each reading with its audit row."""

from __future__ import annotations

from persistence.postgres.account_database import AccountDatabase
from persistence.postgres.accounts import ACCOUNT_COLUMNS, Account, account_of
from persistence.postgres.player_ledger import FROM_THE_NEWEST, LEDGER_PAGE, LedgerPage, page_of
from runtime.command_ids import GENESIS_ID

LEDGER_TURNS_MAX = 10_000
"""Turns that one page of the ledger looks at."""

# An INSERT in a CTE is run whether or not anybody reads it.
_NOTED = "noted AS (INSERT INTO audit_log (admin, action, target, details) VALUES"


def _find(condition: str) -> str:
    return (
        f"WITH found AS (SELECT {ACCOUNT_COLUMNS} FROM accounts WHERE {condition}),"  # noqa: S608
        f" {_NOTED} ($1, 'find_players', coalesce((SELECT user_id FROM found), ''), '{{}}'))"
        " SELECT * FROM found"
    )


# Both are unique, so that at most one account is found.
_NAMED = 'lower(username) = lower($2::text COLLATE "C")'
_FIND_NAMED = _find(_NAMED)
_FIND_ID = _find("user_id = $2")
_FIND_BOTH = _find(f"{_NAMED} AND user_id = $3")
_ACCOUNT = (
    f"WITH {_NOTED} ($1, 'read_player', $2, '{{}}'))"  # noqa: S608
    f" SELECT {ACCOUNT_COLUMNS} FROM accounts WHERE user_id = $2"
)
_LEDGER = f"WITH {_NOTED} ($5, 'read_ledger', $1, '{{}}')), {LEDGER_PAGE}"
_HAS_SESSION = (
    "SELECT EXISTS (SELECT FROM journal WHERE actor = 'session/' || $1::text AND command_id = $2) AS found"
)


class PostgresPlayers:
    """See ``gateway.ports.PlayerDirectory``."""

    def __init__(self, database: AccountDatabase) -> None:
        self._database = database

    async def find(self, by: str, *, username: str | None, user_id: str | None) -> list[Account]:
        """Raises ``ValueError`` when neither is given."""
        if username is None and user_id is None:
            raise ValueError("a user name or a user id is needed")
        if username is None:
            row = await self._database.row(_FIND_ID, by, user_id)
        elif user_id is None:
            row = await self._database.row(_FIND_NAMED, by, username)
        else:
            row = await self._database.row(_FIND_BOTH, by, username, user_id)
        return [account_of(row)] if row else []

    async def account(self, by: str, user_id: str) -> Account | None:
        row = await self._database.row(_ACCOUNT, by, user_id)
        return account_of(row) if row else None

    async def has_session(self, user_id: str) -> bool:
        # A journal may be there without it: gifts that came back because nobody had ever signed in.
        row = await self._database.row(_HAS_SESSION, user_id, GENESIS_ID)
        assert row is not None
        return bool(row["found"])

    async def ledger(self, by: str, user_id: str, before: int | None, limit: int) -> LedgerPage:
        rows = await self._database.rows(
            _LEDGER, user_id, FROM_THE_NEWEST if before is None else before, limit, LEDGER_TURNS_MAX, by
        )
        return page_of(rows, user_id, limit, LEDGER_TURNS_MAX)
