"""What administrators change about accounts, each with its audit row in the same transaction."""

from __future__ import annotations

from typing import NamedTuple

from persistence.postgres.account_database import AccountDatabase


class RoleChange(NamedTuple):
    """See ``gateway.ports.RoleChangeRecord``."""

    role: str
    change: int


class PostgresAdministration:
    """See ``gateway.ports.Administration``. The rules are in ``sql/0004_administration.sql``."""

    def __init__(self, database: AccountDatabase) -> None:
        self._database = database

    async def ban(self, user_id: str, by: str, reason: str, command_id: str) -> None:
        await self._set_ban(user_id, True, by, reason, command_id)

    async def unban(self, user_id: str, by: str, reason: str, command_id: str) -> None:
        await self._set_ban(user_id, False, by, reason, command_id)

    async def change_role(self, user_id: str, role: str, by: str, reason: str, command_id: str) -> RoleChange:
        row = await self._database.change(
            "SELECT * FROM change_role($1, $2, $3, $4, $5)", user_id, role, by, reason, command_id
        )
        return RoleChange(role, row["change"])

    async def create_admin(
        self, user_id: str, username: str, password_hash: str, by: str, command_id: str
    ) -> None:
        await self._database.change(
            "SELECT create_admin($1, $2, $3, $4, $5) AS outcome",
            user_id,
            username,
            password_hash,
            by,
            command_id,
        )

    async def _set_ban(self, user_id: str, banned: bool, by: str, reason: str, command_id: str) -> None:
        await self._database.change(
            "SELECT set_ban($1, $2, $3, $4, $5) AS outcome", user_id, banned, by, reason, command_id
        )
