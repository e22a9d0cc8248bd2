"""Which errors leave a connection sound."""

from __future__ import annotations

import asyncpg
import pytest

from persistence.postgres.connections import DatabaseUnavailable, is_answer


@pytest.mark.parametrize(
    "error",
    [
        asyncpg.UniqueViolationError("x"),
        asyncpg.CheckViolationError("x"),
        asyncpg.NumericValueOutOfRangeError("x"),
        asyncpg.UndefinedTableError("x"),
    ],
)
def test_a_no_is_an_answer(error: Exception) -> None:
    assert is_answer(error)


@pytest.mark.parametrize(
    "error",
    [
        asyncpg.ConnectionDoesNotExistError("x"),
        asyncpg.QueryCanceledError("x"),
        asyncpg.AdminShutdownError("x"),
        asyncpg.DiskFullError("x"),
        asyncpg.ReadOnlySQLTransactionError("x"),
        asyncpg.DeadlockDetectedError("x"),
        asyncpg.InterfaceError("connection is closed"),
        ConnectionResetError(),
        TimeoutError(),
        DatabaseUnavailable("x"),
    ],
)
def test_anything_else_is_not(error: Exception) -> None:
    assert not is_answer(error)
