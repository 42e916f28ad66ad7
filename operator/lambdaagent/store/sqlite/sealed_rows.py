"""The sealed values of a SQLite file, beside the process that holds it."""

from collections.abc import Callable, Sequence

from sqlalchemy import Connection, Engine

from lambdaagent.store import sealed_tables
from lambdaagent.store.sealed_tables import (
    CHANGES,
    COORDINATION,
    LETTERS,
    PUSHES,
    SNAPSHOTS,
    TASKS,
    Head,
    Key,
    SealedRow,
    SealedTable,
    Values,
    as_written,
    row_of,
)
from lambdaagent.store.sqlite.beside import Found, in_transaction

_ALL = (TASKS, SNAPSHOTS, CHANGES, PUSHES, LETTERS, *COORDINATION)
_NAMES = {table.name: table.name for table in _ALL}


def _document(alias: str, name: str) -> str:
    return f"json_extract({alias}.{name}, '$')"


class SqliteSealedRows:
    # The body of a task may move into the snapshots, but not during a statement.
    tables: Sequence[SealedTable] = _ALL

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def heads(self, table: SealedTable, *, after: Key | None, limit: int) -> list[Head]:
        statement = sealed_tables.heads_sql(table, _NAMES, lambda _: "?", first=after is None, document=_document)
        found = await self._run(lambda connection: connection.exec_driver_sql(statement, (*(after or ()), limit)).all())
        key = len(table.key)
        return [Head(tuple(row[:key]), row[key], tuple(row[key + 1 :])) for row in found]

    async def load(self, table: SealedTable, keys: Sequence[Key]) -> list[SealedRow]:
        statement = sealed_tables.rows_sql(
            table, _NAMES, " AND ".join(f"t.{name} = ?" for name in table.key), document=_document
        )
        found = await self._run(
            lambda connection: [row for key in keys for row in connection.exec_driver_sql(statement, key)]
        )
        return [row_of(table, row) for row in found]

    async def swap(self, table: SealedTable, changes: Sequence[tuple[SealedRow, Values]]) -> int:
        documents = table.documents
        new = ", ".join(f"{name} = ?" for name in table.values)
        values = [_document("t", name) if name in documents else f"t.{name}" for name in table.values]
        same = " AND ".join(f"{each} = ?" for each in (*(f"t.{name}" for name in table.key), *values))
        statement = f"UPDATE {_NAMES[table.name]} AS t SET {new} WHERE {same}"  # noqa: S608 -- names of columns

        def swap(connection: Connection) -> int:
            return sum(
                connection.exec_driver_sql(statement, (*as_written(table, values), *row.key, *row.values)).rowcount
                for row, values in changes
            )

        return await self._run(swap)

    async def sample(self) -> list[bytes | str]:
        statements = sealed_tables.sample_sql(_NAMES, document=_document)
        found = await self._run(
            lambda connection: [row[0] for each in statements for row in connection.exec_driver_sql(each)]
        )
        return list(found)

    async def close(self) -> None:
        self._engine.dispose()

    async def _run(self, work: Callable[[Connection], Found]) -> Found:
        return await in_transaction(self._engine, work, what="the sealed values")
