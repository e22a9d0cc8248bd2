"""The revisions, as far as they can be checked without a database."""

from __future__ import annotations

from pathlib import Path

import pytest
from alembic.script import ScriptDirectory

import persistence.postgres.migrate as migrate_module
from persistence.postgres.migrate import MigrationError, head_revision, upgrade_sql

SQL = Path(migrate_module.__file__).parent / "sql"


def test_there_is_one_head() -> None:
    script = ScriptDirectory.from_config(migrate_module._config())
    assert script.get_heads() == [head_revision()]


def test_every_sql_file_reaches_the_database_as_it_stands() -> None:
    whole = upgrade_sql(None)
    for file in sorted(SQL.glob("*.sql")):
        assert file.read_text() in whole, file.name


def test_nothing_is_left_to_do_at_the_head() -> None:
    assert "CREATE" not in upgrade_sql(head_revision())


def test_a_database_from_the_future_is_left_alone() -> None:
    with pytest.raises(MigrationError, match="9999"):
        upgrade_sql("9999")
