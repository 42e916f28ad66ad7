"""Where tasks and dead letters are kept: one protocol, in memory or in SQLite."""
