"""Alembic's settings for this schema. Run by Alembic; ``persistence.postgres.migrate`` is the way in."""

from __future__ import annotations

from alembic import context

# Rendered only, never run from here: ``migrate`` puts the whole upgrade into one transaction.
context.configure(dialect_name="postgresql", version_table="schema_revision", transactional_ddl=False)
context.run_migrations()
