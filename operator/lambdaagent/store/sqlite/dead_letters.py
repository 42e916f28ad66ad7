"""Dead letters in SQLite. `SqliteLetters` is for a command that runs beside the process that holds the file.

Only dead letters can be shared like this: no process caches them, and SQLite itself admits one writer at a time.
"""

import asyncio
from collections.abc import Callable, Collection
from pathlib import Path
from typing import TypeVar

from sqlalchemy import Connection, Engine, create_engine, delete, func, select, text, update
from sqlalchemy.exc import DatabaseError

from lambdaagent.store import rows
from lambdaagent.store.errors import StoreError, StoreUnusableError
from lambdaagent.store.records import DeadLetter, Letters
from lambdaagent.store.sqlite import schema
from lambdaagent.store.sqlite.schema import letters

Found = TypeVar("Found")
_COLUMNS = (letters.c.number, *(letters.c[name] for name in rows.LETTER))
_AT_ONCE = 500


def find(connection: Connection, wanted: Letters) -> list[DeadLetter]:
    statement = select(*_COLUMNS).order_by(letters.c.number.desc()).limit(wanted.limit)
    if wanted.namespace is not None:
        statement = statement.where(letters.c.namespace == wanted.namespace)
    if wanted.agent is not None:
        statement = statement.where(letters.c.agent == wanted.agent)
    if (written := rows.letter_type(wanted)) is not None:
        statement = statement.where(func.instr(letters.c.attributes, written) > 0)
    if wanted.received_from is not None:
        statement = statement.where(letters.c.received >= wanted.received_from)
    if wanted.received_before is not None:
        statement = statement.where(letters.c.received < wanted.received_before)
    if wanted.after:
        statement = statement.where(letters.c.number < (rows.letter_number(wanted.after) or 0))
    return [rows.letter_of(row) for row in connection.execute(statement)]


def get(connection: Connection, letter_id: str) -> DeadLetter | None:
    number = rows.letter_number(letter_id)
    row = connection.execute(select(*_COLUMNS).where(letters.c.number == number)).first()
    return rows.letter_of(row) if row is not None else None


def free(connection: Connection, letter_id: str) -> bool:
    freed = update(letters).where(letters.c.number == rows.letter_number(letter_id))
    return connection.execute(freed.values(source=None, event_id=None)).rowcount > 0


def drop(connection: Connection, letter_ids: Collection[str]) -> int:
    numbers = [number for each in letter_ids if (number := rows.letter_number(each)) is not None]
    gone = 0
    for first in range(0, len(numbers), _AT_ONCE):
        some = numbers[first : first + _AT_ONCE]
        gone += connection.execute(delete(letters).where(letters.c.number.in_(some))).rowcount
    return gone


class SqliteLetters:
    """Raises StoreUnusableError if the file does not have this version's schema: it is not migrated from here."""

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise StoreUnusableError(f"there is no file {path}: set LAMBDAAGENT_DATABASE as for the gateway")
        self._engine: Engine = create_engine(f"sqlite:///{path}", connect_args={"timeout": 5})
        try:
            with self._engine.connect() as connection:
                found = connection.execute(text("PRAGMA user_version")).scalar_one()
        except DatabaseError as error:
            raise StoreUnusableError(f"{path} is not a database that can be used: {error.orig}") from None
        if found != schema.VERSION:
            known = schema.VERSION
            raise StoreUnusableError(f"{path} has schema {found} and {known} is needed: start this version's gateway")

    async def find_letters(self, wanted: Letters) -> list[DeadLetter]:
        return await self._run(lambda connection: find(connection, wanted))

    async def letter(self, letter_id: str) -> DeadLetter | None:
        return await self._run(lambda connection: get(connection, letter_id))

    async def free_letter(self, letter_id: str) -> bool:
        return await self._run(lambda connection: free(connection, letter_id))

    async def drop_letters(self, letter_ids: Collection[str]) -> int:
        return await self._run(lambda connection: drop(connection, letter_ids))

    async def close(self) -> None:
        self._engine.dispose()

    async def _run(self, work: Callable[[Connection], Found]) -> Found:
        def run() -> Found:
            with self._engine.begin() as connection:
                return work(connection)

        try:
            return await asyncio.to_thread(run)
        except DatabaseError as error:
            raise StoreError(f"the dead letters could not be used: {error.orig}") from error
