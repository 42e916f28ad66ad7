"""Dead letters in SQLite. `SqliteLetters` is for a command that runs beside the process that holds the file."""

from collections.abc import Callable, Collection
from pathlib import Path

from sqlalchemy import Connection, Engine, delete, func, select, update

from lambdaagent.store import rows
from lambdaagent.store.records import DeadLetter, Letters
from lambdaagent.store.sealing import Sealing
from lambdaagent.store.sqlite.beside import Found, in_transaction, open_beside
from lambdaagent.store.sqlite.schema import letters

_COLUMNS = (letters.c.number, *(letters.c[name] for name in rows.LETTER))
_AT_ONCE = 500


def find(connection: Connection, wanted: Letters, *, sealing: Sealing) -> list[DeadLetter]:
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
    return [rows.letter_of(row, sealing=sealing) for row in connection.execute(statement)]


def get(connection: Connection, letter_id: str, *, sealing: Sealing) -> DeadLetter | None:
    number = rows.letter_number(letter_id)
    row = connection.execute(select(*_COLUMNS).where(letters.c.number == number)).first()
    return rows.letter_of(row, sealing=sealing) if row is not None else None


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


def prune(connection: Connection, before: float) -> int:
    return connection.execute(delete(letters).where(letters.c.received < before)).rowcount


class SqliteLetters:
    """Raises StoreUnusableError."""

    def __init__(self, path: Path, *, sealing: Sealing | None = None) -> None:
        self._sealing = sealing or Sealing()
        self._engine: Engine = open_beside(path)

    async def find_letters(self, wanted: Letters) -> list[DeadLetter]:
        return await self._run(lambda connection: find(connection, wanted, sealing=self._sealing))

    async def letter(self, letter_id: str) -> DeadLetter | None:
        return await self._run(lambda connection: get(connection, letter_id, sealing=self._sealing))

    async def free_letter(self, letter_id: str) -> bool:
        return await self._run(lambda connection: free(connection, letter_id))

    async def drop_letters(self, letter_ids: Collection[str]) -> int:
        return await self._run(lambda connection: drop(connection, letter_ids))

    async def close(self) -> None:
        self._engine.dispose()

    async def _run(self, work: Callable[[Connection], Found]) -> Found:
        return await in_transaction(self._engine, work, what="the dead letters")
