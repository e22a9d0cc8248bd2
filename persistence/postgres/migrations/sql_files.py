"""Puts the SQL file of a revision into the upgrade. Used by the revisions only."""

from __future__ import annotations

from pathlib import Path

from alembic import op

_FOLDER = Path(__file__).parent.parent / "sql"


def execute_file(name: str) -> None:
    """Run a file of ``persistence/postgres/sql``, as it stands."""
    # Not ``op.execute``, which takes every colon for a parameter.
    op.get_context().impl.static_output((_FOLDER / name).read_text("utf-8"))
