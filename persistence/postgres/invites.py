"""Invite codes, known by their SHA-256 only. Using one is part of signing up (``credentials``)."""

from __future__ import annotations

import datetime
from typing import NamedTuple

from persistence.postgres.account_database import AccountDatabase


class Invite(NamedTuple):
    """See ``gateway.ports.InviteRecord``."""

    label: str
    uses_max: int
    uses: int
    expires_at: datetime.datetime | None
    created_by: str
    created_at: datetime.datetime


class PostgresInvites:
    """See ``gateway.ports.InviteStore``."""

    def __init__(self, database: AccountDatabase) -> None:
        self._database = database

    async def create(
        self,
        code_hash: bytes,
        uses_max: int,
        expires_at: datetime.datetime | None,
        label: str,
        by: str,
        command_id: str,
    ) -> Invite:
        await self._database.change(
            "SELECT create_invite($1, $2, $3, $4, $5, $6) AS outcome",
            code_hash,
            uses_max,
            expires_at,
            label,
            by,
            command_id,
        )
        row = await self._database.row(
            "SELECT label, uses_max, uses, expires_at, created_by, created_at"
            " FROM invite_codes WHERE code_hash = $1",
            code_hash,
        )
        assert row is not None
        return Invite(*row)
