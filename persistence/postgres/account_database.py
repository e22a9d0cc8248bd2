"""The connections that all stores about accounts share, and what their errors mean to a client.

Knows no tables. Never puts a value into a message: what is stored here must not get into logs.
"""

from __future__ import annotations

from typing import TypeVar

import asyncpg

from persistence.postgres.connections import Connections, DatabaseUnavailable, Operation
from runtime.errors import IdReused, Rejected, Unavailable

T = TypeVar("T")

_REFUSALS = {
    "account_unknown": "There is no such account.",
    "banned": "This account is banned.",
    "invalid_data": "A text in it cannot be stored.",
    "invite_invalid": "This invite code is not good, or not any more.",
    "not_a_guest": "Only a guest can become a full account.",
    "password_changed": "The password was changed in the meantime.",
    "refresh_expired": "The refresh token is past its time: log in.",
    "refresh_invalid": "The refresh token is not good: log in.",
    "refresh_reused": "The refresh token was used before: log in.",
    "refresh_revoked": "The sign-in was ended: log in.",
    "username_taken": "Somebody has this user name.",
}


def refused(code: str) -> Rejected | IdReused:
    """The error for a refusal that a function of the database returned."""
    if code == IdReused.code:
        return IdReused("This id was used for something else.")
    return Rejected(_REFUSALS[code], code)


def _is_bad_value(error: Exception) -> bool:
    """Whether a value cannot be encoded, is none of its type, breaks a CHECK, or is too large."""
    state = getattr(error, "sqlstate", None) or ""
    return isinstance(error, ValueError) or state == "23514" or state[:2] in ("22", "54")


class AccountDatabase:
    """At most ``connections_max`` connections for all stores of a process.

    Each operation is one statement that may be repeated, and is while the database is unreachable:
    ``Unavailable`` when it stays so, ``Rejected`` (``invalid_data``) for a value that cannot be stored.
    """

    def __init__(
        self, dsn: str, *, timeout_s: float = 3.0, connections_max: int = 4, name: str = "casino-accounts"
    ) -> None:
        self._connections = Connections(
            dsn,
            connections_max=connections_max,
            timeout_s=timeout_s,
            attempt_timeout_s=timeout_s / 3,
            name=name,
        )

    async def close(self) -> None:
        await self._connections.close()

    async def execute(self, query: str, *arguments: object) -> None:
        await self._run(lambda connection: connection.execute(query, *arguments))

    async def rows(self, query: str, *arguments: object) -> list[asyncpg.Record]:
        return await self._run(lambda connection: connection.fetch(query, *arguments))

    async def row(self, query: str, *arguments: object) -> asyncpg.Record | None:
        return await self._run(lambda connection: connection.fetchrow(query, *arguments))

    async def change(self, query: str, *arguments: object) -> asyncpg.Record:
        """Call a function whose first column, ``outcome``, is ``done``, ``granted``, or the refusal that
        is raised."""
        row = await self.row(query, *arguments)
        assert row is not None
        if row["outcome"] not in ("done", "granted"):
            raise refused(row["outcome"])
        return row

    async def _run(self, operation: Operation[T]) -> T:
        try:
            return await self._connections.retried(operation)
        except DatabaseUnavailable as error:
            raise Unavailable("accounts cannot be read or written at the moment") from error
        except (asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            if _is_bad_value(error):
                raise refused("invalid_data") from None
            raise
