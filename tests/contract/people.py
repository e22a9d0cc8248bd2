"""Accounts for the contract suite, and questions to the database that no store answers."""

from __future__ import annotations

import datetime
import hashlib
from typing import Any

import asyncpg

from persistence.postgres.account_stores import AccountStores

BIRTH_DATE = datetime.date(1977, 4, 23)
ADMIN = "u_admin"
HOUR_S = 3600.0


def digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


async def invite(stores: AccountStores, code: str, uses_max: int = 1, **changes: Any) -> bytes:
    """Make an invite and return its hash."""
    expires_at = changes.get("expires_at")
    await stores.invites.create(digest(code), uses_max, expires_at, "a friend", ADMIN, f"invite {code}")
    return digest(code)


async def sign_up(
    stores: AccountStores,
    user_id: str,
    username: str,
    invite_hash: bytes | None = None,
    *,
    from_guest: bool = False,
) -> None:
    if invite_hash is None:
        invite_hash = await invite(stores, f"for {user_id}")
    await stores.credentials.sign_up(
        user_id, username, f"hash of {user_id}", BIRTH_DATE, invite_hash, from_guest=from_guest
    )


async def fetch(dsn: str, query: str, *arguments: object) -> list[tuple[Any, ...]]:
    connection = await asyncpg.connect(dsn)
    try:
        return [tuple(row) for row in await connection.fetch(query, *arguments)]
    finally:
        await connection.close()


async def value(dsn: str, query: str, *arguments: object) -> Any:
    [(found,)] = await fetch(dsn, query, *arguments)
    return found


async def execute(dsn: str, statements: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(statements)
    finally:
        await connection.close()


def codes(results: list[Any]) -> list[str]:
    """Of each result, or error that was gathered as one: its code, sorted; ``done`` for no error."""
    return sorted(
        getattr(each, "code", repr(each)) if isinstance(each, Exception) else "done" for each in results
    )
