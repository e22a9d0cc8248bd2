"""The server that a relay's place belongs to."""

from __future__ import annotations

from persistence.postgres.migrations.sql_files import execute_file

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    execute_file("0009_relay_server.sql")
