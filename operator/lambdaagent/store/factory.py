"""Opens the store that LAMBDAAGENT_DATABASE names: memory if it is empty, PostgreSQL for its URLs, else a SQLite file.

Each store is imported only when it is needed: PostgreSQL's driver is an extra, and the import of SQLite's store takes
half of the processor time in which a gateway starts.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

from lambdaagent.clock import Clock
from lambdaagent.errors import UsageError
from lambdaagent.store.errors import StoreError
from lambdaagent.store.memory import MemoryStore
from lambdaagent.store.records import RateStore
from lambdaagent.store.sealing import Sealing
from lambdaagent.trust import SYSTEM, Trust

if TYPE_CHECKING:
    from lambdaagent.store.coordination.database import Database
    from lambdaagent.store.postgres.sealed_rows import PostgresSealedRows
    from lambdaagent.store.postgres.store import PostgresStore
    from lambdaagent.store.sqlite.dead_letters import SqliteLetters
    from lambdaagent.store.sqlite.sealed_rows import SqliteSealedRows
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
    rates: RateStore | None = None
    """Where several processes may use the store at once."""


def is_postgres(database: str) -> bool:
    return database.startswith(("postgresql:", "postgres:"))


async def open_store(database: str, trust: Trust = SYSTEM, *, sealing: Sealing | None = None) -> Opened:
    """Raises UsageError, StoreUnusableError. A PostgreSQL that cannot be reached yet is a `problem`, not an error."""
    if not database:
        return Opened(MemoryStore())
    if not is_postgres(database):
        from lambdaagent.store.sqlite.store import SqliteStore

        return Opened(await SqliteStore.open(Path(database), durable=True, sealing=sealing))
    try:
        from lambdaagent.store.postgres.store import PostgresStore
    except ModuleNotFoundError as missing:
        raise UsageError(_MISSING.format(name=missing.name)) from None
    store = await PostgresStore.open(database, trust, sealing=sealing)
    return Opened(store, lambda: store.problem, rates=store)


def open_coordination(store: "MemoryStore | SqliteStore | PostgresStore", clock: Clock) -> "Database":
    """Open the database for coordination beside a store, with whose data it is kept."""
    if isinstance(store, MemoryStore):
        from lambdaagent.store.sqlite.database import SqliteDatabase

        return SqliteDatabase.in_memory(clock)
    if store.shared:
        return cast("PostgresStore", store).coordination()
    return cast("SqliteStore", store).coordination(clock)


async def open_letters(
    database: str, trust: Trust = SYSTEM, *, sealing: Sealing | None = None
) -> "SqliteLetters | PostgresStore":
    """Open only the dead letters, beside the running processes. Raises UsageError, StoreError."""
    if not is_postgres(database):
        from lambdaagent.store.sqlite.dead_letters import SqliteLetters

        return SqliteLetters(Path(database), sealing=sealing)
    opened = await open_store(database, trust, sealing=sealing)
    if (problem := opened.problem()) is not None:
        await opened.store.close()
        raise StoreError(problem)
    return opened.store  # type: ignore[return-value]  # a PostgreSQL URL opens a PostgresStore


async def open_sealed_rows(database: str, trust: Trust = SYSTEM) -> "SqliteSealedRows | PostgresSealedRows":
    """Open the sealed values, beside the running processes. Raises UsageError, StoreError, StoreUnusableError."""
    if not is_postgres(database):
        from lambdaagent.store.sqlite.beside import open_beside
        from lambdaagent.store.sqlite.sealed_rows import SqliteSealedRows

        return SqliteSealedRows(open_beside(Path(database)))
    try:
        from lambdaagent.store.postgres.pool import PostgresPool
        from lambdaagent.store.postgres.sealed_rows import PostgresSealedRows
        from lambdaagent.store.postgres.urls import DatabaseUrl
    except ModuleNotFoundError as missing:
        raise UsageError(_MISSING.format(name=missing.name)) from None
    pool = PostgresPool(DatabaseUrl(database, trust))
    await pool.look()
    if pool.problem is not None:
        await pool.close()
        raise StoreError(pool.problem)
    return PostgresSealedRows(pool)


async def missing_keys(database: str, sealing: Sealing, trust: Trust = SYSTEM) -> list[str]:
    """Return the ids of keys that some of the newer values need and `sealing` lacks. Raises StoreError."""
    if not database:
        return []
    from lambdaagent.store import rewrap

    sealed = await open_sealed_rows(database, trust)
    try:
        return await rewrap.unknown_kids(sealed, sealing)
    finally:
        await sealed.close()


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
