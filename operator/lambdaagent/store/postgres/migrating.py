"""`lambdaagent migrate`: brings a database to the newest schema with Alembic, without a configuration file.

An advisory lock lets one migration run at a time; a second one waits and then finds nothing to do. A migration that
waits for a lock on a table fails after some seconds, so that it does not block the queries queued behind it; when it is
run again, it continues.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import asyncpg
import sqlalchemy as sa
from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from lambdaagent.store.errors import StoreError
from lambdaagent.store.postgres.schema import TABLE, parse
from lambdaagent.store.postgres.urls import DatabaseUrl

Found = TypeVar("Found")
_LOCK = 0x1A3B_DAA6  # any number that nothing else in the database uses
_WAIT, _TABLE_WAIT = "300s", "15s"


def newest() -> str:
    head = _scripts().get_current_head()
    if head is None:
        raise AssertionError("this package has no migrations")
    return head


async def current(url: DatabaseUrl) -> str | None:
    return await _run(url, _current)


async def migrate(url: DatabaseUrl, *, to: str = "head") -> list[str]:
    """Return the revisions that were applied, oldest first."""
    return await _run(url, lambda connection: _upgrade(connection, to))


async def _run(url: DatabaseUrl, work: Callable[[sa.Connection], Found]) -> Found:
    async def connect() -> asyncpg.Connection:
        return await asyncpg.connect(
            url.secret, ssl=url.tls, timeout=10, server_settings={"application_name": "lambdaagent migrate"}
        )

    engine = create_async_engine("postgresql+asyncpg://", async_creator=connect, poolclass=NullPool)
    try:
        async with engine.connect() as connection:
            return await connection.run_sync(work)
    except (OSError, TimeoutError, DBAPIError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        cause = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
        raise StoreError(f"{url} could not be migrated: {url.reason(cause)}") from None
    finally:
        await engine.dispose()


def _upgrade(connection: sa.Connection, to: str) -> list[str]:
    connection.execute(sa.text(f"SET lock_timeout = '{_WAIT}'"))
    connection.execute(sa.select(sa.func.pg_advisory_lock(_LOCK)))  # released when the connection ends
    connection.execute(sa.text(f"SET lock_timeout = '{_TABLE_WAIT}'"))
    scripts = _scripts()
    applied: list[str] = []
    found = parse(_current(connection) or "")
    if found is not None and found > (parse(newest()) or (0, 0)):
        return applied  # migrated by a later version: compatible, or the gateway reports that it is not
    connection.commit()  # else Alembic would leave the commit to its caller; the lock belongs to the session and stays

    def steps(revision: Any, _: MigrationContext) -> Any:
        found = scripts._upgrade_revs(to, revision)
        applied.extend(step.revision.revision for step in found)
        return found

    with EnvironmentContext(Config(), scripts, fn=steps) as environment:
        environment.configure(connection=connection, version_table=TABLE, transaction_per_migration=True)
        with environment.begin_transaction():
            environment.run_migrations()
    return applied


def _current(connection: sa.Connection) -> str | None:
    return MigrationContext.configure(connection, opts={"version_table": TABLE}).get_current_revision()


def _scripts() -> ScriptDirectory:
    here = str(Path(__file__).parent)
    return ScriptDirectory(here, version_locations=[str(Path(here) / "versions")])
