"""Opens a SQLite file beside the process that holds it, for commands.

Only what no process caches may be changed like this: dead letters, and the form of sealed values. SQLite itself admits
one writer at a time.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from sqlalchemy import Connection, Engine, create_engine, text
from sqlalchemy.exc import DatabaseError

from lambdaagent.store.errors import StoreError, StoreUnusableError
from lambdaagent.store.sqlite import schema

Found = TypeVar("Found")


def open_beside(path: Path) -> Engine:
    """Raises StoreUnusableError if the file does not have this version's schema: it is not migrated from here."""
    if not path.is_file():
        raise StoreUnusableError(f"there is no file {path}: set LAMBDAAGENT_DATABASE as for the gateway")
    engine = create_engine(f"sqlite:///{path}", connect_args={"timeout": 5})
    try:
        with engine.connect() as connection:
            found = connection.execute(text("PRAGMA user_version")).scalar_one()
    except DatabaseError as error:
        raise StoreUnusableError(f"{path} is not a database that can be used: {error.orig}") from None
    if found != schema.VERSION:
        known = schema.VERSION
        raise StoreUnusableError(f"{path} has schema {found} and {known} is needed: start this version's gateway")
    return engine


async def in_transaction(engine: Engine, work: Callable[[Connection], Found], *, what: str) -> Found:
    """Return what `work` returns, which runs in a thread. Raises StoreError, which says `what` could not be used."""

    def run() -> Found:
        with engine.begin() as connection:
            return work(connection)

    try:
        return await asyncio.to_thread(run)
    except DatabaseError as error:
        raise StoreError(f"{what} could not be used: {error.orig}") from error
