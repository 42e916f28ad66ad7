"""The store that LAMBDAAGENT_DATABASE names: nothing is memory, a postgresql:// URL is that, all else is a file.

Each is imported only where it is asked for: PostgreSQL's driver is an extra, and what SQLite takes is half of the
processor time in which a gateway starts.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lambdaagent.errors import UsageError
from lambdaagent.store.errors import StoreError
from lambdaagent.store.memory import MemoryStore
from lambdaagent.trust import SYSTEM, Trust

if TYPE_CHECKING:
    from lambdaagent.store.postgres.store import PostgresStore
    from lambdaagent.store.sqlite.dead_letters import SqliteLetters
    from lambdaagent.store.sqlite.store import SqliteStore

_MISSING = (
    "LAMBDAAGENT_DATABASE names a PostgreSQL and its driver is not installed ({name} is missing): "
    "install lambdaagent[postgres]"
)


@dataclass(frozen=True, slots=True)
class Opened:
    store: "MemoryStore | SqliteStore | PostgresStore"
    problem: Callable[[], str | None] = lambda: None
    """What keeps it from being used yet."""


def is_postgres(database: str) -> bool:
    return database.startswith(("postgresql:", "postgres:"))


async def open_store(database: str, trust: Trust = SYSTEM) -> Opened:
    """Raises UsageError, StoreUnusableError. A PostgreSQL that cannot be reached yet is no error but a problem."""
    if not database:
        return Opened(MemoryStore())
    if not is_postgres(database):
        from lambdaagent.store.sqlite.store import SqliteStore

        return Opened(await SqliteStore.open(Path(database), durable=True))
    try:
        from lambdaagent.store.postgres.store import PostgresStore
    except ModuleNotFoundError as missing:
        raise UsageError(_MISSING.format(name=missing.name)) from None
    store = await PostgresStore.open(database, trust)
    return Opened(store, lambda: store.problem)


async def open_letters(database: str, trust: Trust = SYSTEM) -> "SqliteLetters | PostgresStore":
    """The dead letters alone, beside the processes that work. Raises UsageError, StoreError."""
    if not is_postgres(database):
        from lambdaagent.store.sqlite.dead_letters import SqliteLetters

        return SqliteLetters(Path(database))
    opened = await open_store(database, trust)
    if (problem := opened.problem()) is not None:
        await opened.store.close()
        raise StoreError(problem)
    return opened.store  # type: ignore[return-value]  # a PostgreSQL's URL opens that


async def migrate(database: str, *, check: bool = False, trust: Trust = SYSTEM) -> tuple[str, bool]:
    """What to say, and whether the database has what this version needs. Raises UsageError, StoreError."""
    if not is_postgres(database):
        return "nothing to do: only a PostgreSQL is migrated by this command, a file when it is opened", True
    try:
        from lambdaagent.store.postgres import migrating, schema
        from lambdaagent.store.postgres.urls import DatabaseUrl
    except ModuleNotFoundError as missing:
        raise UsageError(_MISSING.format(name=missing.name)) from None
    url = DatabaseUrl(database, trust)
    if check:
        found = await migrating.current(url)
        problem = schema.problem(found)
        return problem or f"{url} has schema {found}, which will do", problem is None
    applied = await migrating.migrate(url)
    return f"{url}: {'applied ' + ', '.join(applied) if applied else 'has the newest schema already'}", True
