"""Opens the store that LAMBDAAGENT_DATABASE names: memory if it is empty, PostgreSQL for its URLs, else a SQLite file.

Each store is imported only when it is needed: PostgreSQL's driver is an extra, and the import of SQLite's store takes
half of the processor time in which a gateway starts.
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
    "LAMBDAAGENT_DATABASE is a URL of PostgreSQL, and its driver is not installed ({name} is missing): "
    "install lambdaagent[postgres]"
)


@dataclass(frozen=True, slots=True)
class Opened:
    store: "MemoryStore | SqliteStore | PostgresStore"
    problem: Callable[[], str | None] = lambda: None
    """Returns why the store cannot be used yet, or None."""


def is_postgres(database: str) -> bool:
    return database.startswith(("postgresql:", "postgres:"))


async def open_store(database: str, trust: Trust = SYSTEM) -> Opened:
    """Raises UsageError, StoreUnusableError. A PostgreSQL that cannot be reached yet is a `problem`, not an error."""
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
    """Open only the dead letters, beside the running processes. Raises UsageError, StoreError."""
    if not is_postgres(database):
        from lambdaagent.store.sqlite.dead_letters import SqliteLetters

        return SqliteLetters(Path(database))
    opened = await open_store(database, trust)
    if (problem := opened.problem()) is not None:
        await opened.store.close()
        raise StoreError(problem)
    return opened.store  # type: ignore[return-value]  # a PostgreSQL URL opens a PostgresStore


async def migrate(database: str, *, check: bool = False, trust: Trust = SYSTEM) -> tuple[str, bool]:
    """Return a message, and whether the database has the needed schema. Raises UsageError, StoreError."""
    if not is_postgres(database):
        return "nothing to do: this command migrates PostgreSQL only; a file is migrated when it is opened", True
    try:
        from lambdaagent.store.postgres import migrating, schema
        from lambdaagent.store.postgres.urls import DatabaseUrl
    except ModuleNotFoundError as missing:
        raise UsageError(_MISSING.format(name=missing.name)) from None
    url = DatabaseUrl(database, trust)
    if check:
        found = await migrating.current(url)
        problem = schema.problem(found)
        return problem or f"{url} has schema {found}, which this version can use", problem is None
    applied = await migrating.migrate(url)
    return f"{url}: {'applied ' + ', '.join(applied) if applied else 'has the newest schema already'}", True
