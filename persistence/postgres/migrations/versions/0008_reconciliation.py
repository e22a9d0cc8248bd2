"""Counting the journal by time."""

from __future__ import annotations

from persistence.postgres.migrations.sql_files import execute_file

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    execute_file("0008_reconciliation.sql")
