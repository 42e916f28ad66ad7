"""The storage of tasks and dead letters: one protocol, in memory, in SQLite or in PostgreSQL."""
