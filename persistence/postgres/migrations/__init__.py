"""The database's schema, revision by revision. Raw SQL in ``persistence/postgres/sql``, one head."""
