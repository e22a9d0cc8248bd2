"""Brings a database's schema to the revision this code was written for.

Alembic orders the revisions and renders them to SQL; asyncpg runs it, so that one driver talks to
Postgres. Safe to run from several processes at once, and all or nothing.
"""

from __future__ import annotations

import io
from pathlib import Path

import asyncpg
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util import CommandError

VERSION_TABLE = "schema_revision"
_LOCK = 0x636173696E6F
"""Key of the advisory lock: "casino" in ASCII."""
_CONNECT_TIMEOUT_S = 10.0


class MigrationError(RuntimeError):
    """The schema cannot be brought to the head."""


def _config(output: io.StringIO | None = None) -> Config:
    config = Config(output_buffer=output)
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    return config


def head_revision() -> str:
    """The newest revision this code knows."""
    head = ScriptDirectory.from_config(_config()).get_current_head()
    assert head is not None
    return head


def upgrade_sql(current: str | None) -> str:
    """The statements that lead from a revision (``None``: an empty database) to the head.

    Raises:
        MigrationError: this code does not know the revision; it is older than the database.
    """
    output = io.StringIO()
    try:
        command.upgrade(_config(output), f"{current or 'base'}:head", sql=True)
    except CommandError as error:
        raise MigrationError(
            f"the database is at revision {current!r}, which this version of casino does not know ({error}). "
            "Run the version that migrated it, or restore a backup."
        ) from error
    return output.getvalue()


async def _current(connection: asyncpg.Connection[asyncpg.Record]) -> str | None:
    if await connection.fetchval("SELECT to_regclass($1)", VERSION_TABLE) is None:
        return None
    revision: str | None = await connection.fetchval(f"SELECT version_num FROM {VERSION_TABLE}")  # noqa: S608
    return revision


async def migrate(dsn: str) -> str:
    """Upgrade to the head and return its revision."""
    head = head_revision()
    connection = await asyncpg.connect(dsn, timeout=_CONNECT_TIMEOUT_S)
    try:
        async with connection.transaction():
            # Held to the end of the transaction: whoever comes second finds nothing left to do.
            await connection.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)
            current = await _current(connection)
            if current != head:
                await connection.execute(upgrade_sql(current))
    finally:
        await connection.close()
    return head


async def current_revision(dsn: str) -> str | None:
    """The revision the database is at; ``None`` for an empty one."""
    connection = await asyncpg.connect(dsn, timeout=_CONNECT_TIMEOUT_S)
    try:
        return await _current(connection)
    finally:
        await connection.close()
