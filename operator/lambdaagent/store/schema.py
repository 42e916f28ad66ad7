"""The tables. Task bodies are JSON as bytes: they are read and written whole, never searched."""

from sqlalchemy import Column, Float, Index, Integer, LargeBinary, MetaData, String, Table, UniqueConstraint, text

VERSION = 1  # PRAGMA user_version of a file that this code wrote

metadata = MetaData()

tasks = Table(
    "tasks",
    metadata,
    Column("id", String, primary_key=True),
    Column("context_id", String, nullable=False),
    Column("namespace", String, nullable=False),
    Column("agent", String, nullable=False),
    Column("skill", String),
    Column("owner", String, nullable=False),
    Column("version", Integer, nullable=False),
    Column("state", String, nullable=False),
    Column("settled", Integer, nullable=False),  # 0 running, 1 waits for the client, 2 ended
    Column("created", Float, nullable=False),
    Column("updated", Float, nullable=False),
    Column("body", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)
# Only what is asked for after a restart and by retention; most rows are in neither set for long.
Index("tasks_running", tasks.c.id, sqlite_where=text("settled = 0"))
Index("tasks_ended", tasks.c.updated, sqlite_where=text("settled = 2"))

changes = Table(
    "changes",
    metadata,
    Column("task_id", String, primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("source", String),
    Column("event_id", String),
    Column("updates", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)
Index(
    "changes_key",
    changes.c.task_id,
    changes.c.source,
    changes.c.event_id,
    unique=True,
    sqlite_where=text("source IS NOT NULL"),
)

letters = Table(
    "dead_letters",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("namespace", String, nullable=False),
    Column("agent", String, nullable=False),
    Column("source", String),  # null where the letter is no CloudEvent: then nothing is the same as it
    Column("event_id", String),
    Column("reason", String, nullable=False),
    Column("received", Float, nullable=False),
    Column("attributes", LargeBinary, nullable=False),
    Column("data", LargeBinary, nullable=False),
    UniqueConstraint("namespace", "agent", "source", "event_id"),
)
