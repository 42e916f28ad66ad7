"""The tables of the SQLite file, besides those of coordination (`store.coordination`).

Task bodies are JSON as bytes: they are read and written whole, never searched.
"""

from sqlalchemy import (
    Column,
    Connection,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    UniqueConstraint,
    inspect,
    text,
)
from sqlalchemy.schema import CreateColumn

from lambdaagent.store.coordination import schema as coordination

VERSION = 7  # PRAGMA user_version of the files that this code writes

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
    Column("holder", String, nullable=False, server_default=""),
    Column("deadline", Float, nullable=False, server_default="0"),
    Column("remote", String, nullable=False, server_default=""),
    Column("once", String),
    Column("body_version", Integer),  # null: `body` is the whole task; else the version of its snapshot
    sqlite_with_rowid=False,
)
# Snapshots of large unsettled tasks, kept apart because SQLite rewrites a whole row at any change of it.
snapshots = Table(
    "snapshots",
    metadata,
    Column("task_id", String, primary_key=True),
    Column("version", Integer, nullable=False),
    Column("body", LargeBinary, nullable=False),
)
# Partial: for recovery after a restart and for retention; most rows are in neither set for long.
Index("tasks_working", tasks.c.holder, tasks.c.deadline, sqlite_where=text("settled = 0"))
Index("tasks_ended", tasks.c.updated, sqlite_where=text("settled = 2"))
Index("tasks_listed", tasks.c.namespace, tasks.c.agent, tasks.c.owner, tasks.c.updated, tasks.c.id)
Index("tasks_context", tasks.c.context_id)
Index(
    "tasks_once",
    tasks.c.namespace,
    tasks.c.agent,
    tasks.c.owner,
    tasks.c.once,
    unique=True,
    sqlite_where=text("once IS NOT NULL"),
)

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

pushes = Table(
    "pushes",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("task_id", String, nullable=False),
    Column("id", String, nullable=False),
    Column("url", String, nullable=False),
    Column("wire", String, nullable=False),
    Column("token", String, nullable=False),
    Column("scheme", String, nullable=False),
    Column("credentials", String, nullable=False),
    Column("sent", Integer, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("due", Float, nullable=False),
    Column("dead", String, nullable=False),
    Column("done", Integer, nullable=False),  # the task has ended and all its updates have arrived: never read again
    Column("registrant", String, nullable=False, server_default=""),
    UniqueConstraint("task_id", "id"),
)
Index("pushes_due", pushes.c.due, sqlite_where=text("dead = '' AND done = 0"))

letters = Table(
    "dead_letters",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("namespace", String, nullable=False),
    Column("agent", String, nullable=False),
    Column("source", String),  # null where the letter is not a CloudEvent: it then equals no other
    Column("event_id", String),
    Column("reason", String, nullable=False),
    Column("received", Float, nullable=False),
    Column("attributes", LargeBinary, nullable=False),
    Column("data", LargeBinary, nullable=False),
    Column("code", Integer, nullable=False, server_default="-1"),
    Column("destination", String, nullable=False, server_default=""),
    Column("attempts", Integer, nullable=False, server_default="0"),
    UniqueConstraint("namespace", "agent", "source", "event_id"),
    sqlite_autoincrement=True,  # a number is a letter's id and is never reused
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("digest", LargeBinary, primary_key=True),
    Column("namespace", String, nullable=False),
    Column("agent", String, nullable=False),
    Column("key", LargeBinary, nullable=False),
    Column("at", Float, nullable=False),
    sqlite_with_rowid=False,
)
Index("deliveries_newest", deliveries.c.namespace, deliveries.c.agent, deliveries.c.at)
Index("deliveries_at", deliveries.c.at)


def migrate(connection: Connection, *, found: int) -> None:
    """Migrate from schema `found` (0: an empty file) to this one, in the caller's transaction."""
    added = ["holder", "deadline", "remote", "once"] if found == 1 else []
    if found < 5:
        added.append("body_version")
    for name in added if found else []:
        _add(connection, tasks, name)
    if inspect(connection).has_table("pushes"):
        _add(connection, pushes, "registrant")
    if found == 1:
        connection.execute(text("DROP INDEX tasks_running"))
        # The holders of tasks of that schema have ended: `expired_replicas` finds the tasks by this name.
        connection.execute(text("UPDATE tasks SET holder = 'schema 1' WHERE settled = 0"))
    # AUTOINCREMENT cannot be added to an existing table.
    renewed = found < 4 and inspect(connection).has_table("dead_letters")
    if renewed:
        connection.execute(text("ALTER TABLE dead_letters RENAME TO dead_letters_before"))
    metadata.create_all(connection)
    coordination.metadata.create_all(connection)
    if renewed:
        known = "number, namespace, agent, source, event_id, reason, received, attributes, data"
        connection.execute(text(f"INSERT INTO dead_letters ({known}) SELECT {known} FROM dead_letters_before"))  # noqa: S608
        connection.execute(text("DROP TABLE dead_letters_before"))
    if found == 1:
        for index in tasks.indexes:
            index.create(connection, checkfirst=True)
    connection.execute(text(f"PRAGMA user_version={VERSION}"))


def _add(connection: Connection, table: Table, name: str) -> None:
    column = CreateColumn(table.c[name]).compile(dialect=connection.dialect)
    connection.execute(text(f"ALTER TABLE {table.name} ADD COLUMN {column}"))
