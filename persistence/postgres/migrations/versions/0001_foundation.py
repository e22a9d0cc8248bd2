"""Journal, ledger, balances, outbox, reminders, snapshots, membership, guest accounts."""

from __future__ import annotations

from persistence.postgres.migrations.sql_files import execute_file

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    execute_file("0001_schema.sql")
    execute_file("0001_commit.sql")
    execute_file("0001_membership.sql")
