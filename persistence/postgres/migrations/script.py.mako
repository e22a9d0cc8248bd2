"""${message}"""

from __future__ import annotations



from persistence.postgres.migrations.sql_files import execute_file

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = None
depends_on = None


def upgrade() -> None:
    execute_file("${up_revision}_NAME.sql")
