"""Everything that a gateway asks about accounts, on one bounded set of connections."""

from __future__ import annotations

from persistence.postgres.account_database import AccountDatabase
from persistence.postgres.accounts import PostgresAccounts
from persistence.postgres.administration import PostgresAdministration
from persistence.postgres.audit_log import PostgresAuditLog
from persistence.postgres.credentials import PostgresCredentials
from persistence.postgres.invites import PostgresInvites
from persistence.postgres.login_attempts import PostgresLoginAttempts
from persistence.postgres.personal_data import PostgresPersonalData
from persistence.postgres.players import PostgresPlayers
from persistence.postgres.refresh_tokens import PostgresRefreshTokens
from persistence.postgres.revocations import PostgresRevocations


class AccountStores:
    """One attribute per port of ``gateway.ports``."""

    def __init__(
        self, dsn: str, *, timeout_s: float = 3.0, connections_max: int = 4, name: str = "casino-accounts"
    ) -> None:
        """``timeout_s`` bounds each call with all its attempts."""
        database = AccountDatabase(dsn, timeout_s=timeout_s, connections_max=connections_max, name=name)
        self._database = database
        self.accounts = PostgresAccounts(database)
        self.credentials = PostgresCredentials(database)
        self.refresh_tokens = PostgresRefreshTokens(database)
        self.login_attempts = PostgresLoginAttempts(database)
        self.revocations = PostgresRevocations(database)
        self.administration = PostgresAdministration(database)
        self.invites = PostgresInvites(database)
        self.players = PostgresPlayers(database)
        self.audit_log = PostgresAuditLog(database)
        self.personal_data = PostgresPersonalData(database)

    async def close(self) -> None:
        await self._database.close()
