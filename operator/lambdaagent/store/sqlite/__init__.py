"""Tasks and dead letters in one SQLite file."""
