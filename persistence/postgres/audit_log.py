"""What administrators did, append-only. Most rows are written by what they are about."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from persistence.postgres.account_database import AccountDatabase, refused

_ID_MAX = 2**63 - 1


class AuditRow(NamedTuple):
    """See ``gateway.ports.AuditRecord``."""

    id: int
    at: datetime.datetime
    admin: str
    action: str
    target: str
    details: Mapping[str, Any]
    reason: str


class PostgresAuditLog:
    """See ``gateway.ports.AuditLog``."""

    def __init__(self, database: AccountDatabase) -> None:
        self._database = database

    async def append(
        self, admin: str, action: str, target: str, details: Mapping[str, Any], reason: str
    ) -> None:
        try:
            text = msgspec.json.encode(details).decode()
        except UnicodeEncodeError as error:
            raise refused("invalid_data") from error
        await self._database.execute(
            "INSERT INTO audit_log (admin, action, target, details, reason) VALUES ($1, $2, $3, $4, $5)",
            admin,
            action,
            target,
            text,
            reason,
        )

    async def read(self, by: str, before: int | None, limit: int) -> list[AuditRow]:
        rows = await self._database.rows(
            # The query does not see the row that it adds.
            "WITH noted AS (INSERT INTO audit_log (admin, action) VALUES ($1, 'read_audit'))"
            " SELECT id, at, admin, action, target, details, reason FROM audit_log"
            " WHERE id < $2 ORDER BY id DESC LIMIT $3",
            by,
            _ID_MAX if before is None else before,
            limit,
        )
        return [AuditRow(**{**row, "details": msgspec.json.decode(row["details"])}) for row in rows]
