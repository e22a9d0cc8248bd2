"""A longer grace for lost refreshes, revocations by age, and an erasure that leaves no counter."""

from __future__ import annotations

from persistence.postgres.migrations.sql_files import execute_file

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    execute_file("0005_sign_in.sql")
