"""Guest accounts on Postgres."""

from __future__ import annotations

import pytest

from persistence.postgres.accounts import PostgresAccounts
from runtime.errors import Unavailable


async def test_a_guest_exists_once_made(dsn: str) -> None:
    accounts = PostgresAccounts(dsn)
    assert not await accounts.exists("u_1")
    await accounts.create_guest("u_1")
    await accounts.create_guest("u_1")
    assert await accounts.exists("u_1")
    assert not await accounts.exists("u_2")
    await accounts.close()


async def test_without_a_database_the_client_is_told_to_retry() -> None:
    accounts = PostgresAccounts("postgresql://nobody@/nowhere?host=/nonexistent", timeout_s=0.2)
    with pytest.raises(Unavailable) as caught:
        await accounts.create_guest("u_1")
    assert caught.value.retryable
    await accounts.close()
