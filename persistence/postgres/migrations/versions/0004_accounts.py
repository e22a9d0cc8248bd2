"""Full accounts, roles, refresh tokens, invites, revocations, and the audit log."""

from __future__ import annotations

from persistence.postgres.migrations.sql_files import execute_file

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    execute_file("0004_accounts.sql")
    execute_file("0004_sign_in.sql")
    execute_file("0004_administration.sql")
