"""Guest accounts: who may have a session. Holds no game state and no gold."""

from __future__ import annotations

from typing import TypeVar

from persistence.postgres.connections import Connections, DatabaseUnavailable, Operation
from runtime.errors import Unavailable

T = TypeVar("T")


class PostgresAccounts:
    """Each call is one statement, repeated while the database is unreachable.

    ``runtime.errors.Unavailable``, which a client is told, when it stays so.
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

    async def create_guest(self, user_id: str) -> None:
        """Idempotent, so that it may be repeated after a lost answer."""
        await self._run(
            lambda connection: connection.execute(
                "INSERT INTO accounts (user_id, kind) VALUES ($1, 'guest') ON CONFLICT DO NOTHING", user_id
            )
        )

    async def exists(self, user_id: str) -> bool:
        found = await self._run(
            lambda connection: connection.fetchval("SELECT 1 FROM accounts WHERE user_id = $1", user_id)
        )
        return found is not None

    async def _run(self, operation: Operation[T]) -> T:
        try:
            return await self._connections.retried(operation)
        except DatabaseUnavailable as error:
            raise Unavailable("accounts cannot be read or written at the moment") from error
