"""Durable sends whose answer comes back to their sender."""

from __future__ import annotations

from persistence.postgres.migrations.sql_files import execute_file

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    execute_file("0003_questions.sql")
