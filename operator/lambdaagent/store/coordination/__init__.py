"""What agents share, in SQL: the registry and what is built on it, the same in memory, in SQLite and in PostgreSQL."""
