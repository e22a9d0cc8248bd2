"""The hash chains that rounds of Crash are taken from."""

from __future__ import annotations

from persistence.postgres.migrations.sql_files import execute_file

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    execute_file("0002_crash_chains.sql")
