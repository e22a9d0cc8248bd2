"""The place of the event relay."""

from __future__ import annotations

from persistence.postgres.migrations.sql_files import execute_file

revision = "0007"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    execute_file("0007_event_relay.sql")
