"""The sealed values of a SQLite file, beside the process that holds it."""

from collections.abc import Callable, Sequence

from sqlalchemy import Connection, Engine

from lambdaagent.store import sealed_tables
from lambdaagent.store.sealed_tables import (
    CHANGES,
    LETTERS,
    PUSHES,
    SNAPSHOTS,
    TASKS,
    Head,
    Key,
    SealedRow,
    SealedTable,
    Values,
    row_of,
)
from lambdaagent.store.sqlite.beside import Found, in_transaction

_NAMES = {table.name: table.name for table in (TASKS, SNAPSHOTS, CHANGES, PUSHES, LETTERS)}


class SqliteSealedRows:
    # The body of a task may move into the snapshots, but not during a statement.
    tables: Sequence[SealedTable] = (TASKS, SNAPSHOTS, CHANGES, PUSHES, LETTERS)

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def heads(self, table: SealedTable, *, after: Key | None, limit: int) -> list[Head]:
        statement = sealed_tables.heads_sql(table, _NAMES, lambda _: "?", first=after is None)
        found = await self._run(lambda connection: connection.exec_driver_sql(statement, (*(after or ()), limit)).all())
        key = len(table.key)
        return [Head(tuple(row[:key]), row[key], tuple(row[key + 1 :])) for row in found]

    async def load(self, table: SealedTable, keys: Sequence[Key]) -> list[SealedRow]:
        statement = sealed_tables.rows_sql(table, _NAMES, " AND ".join(f"t.{name} = ?" for name in table.key))
        found = await self._run(
            lambda connection: [row for key in keys for row in connection.exec_driver_sql(statement, key)]
        )
        return [row_of(table, row) for row in found]

    async def swap(self, table: SealedTable, changes: Sequence[tuple[SealedRow, Values]]) -> int:
        new = ", ".join(f"{name} = ?" for name in table.values)
        same = " AND ".join(f"{name} = ?" for name in (*table.key, *table.values))
        statement = f"UPDATE {_NAMES[table.name]} SET {new} WHERE {same}"  # noqa: S608 -- names of columns

        def swap(connection: Connection) -> int:
            return sum(
                connection.exec_driver_sql(statement, (*values, *row.key, *row.values)).rowcount
                for row, values in changes
            )

        return await self._run(swap)

    async def sample(self) -> list[bytes | str]:
        statements = sealed_tables.sample_sql(_NAMES)
        found = await self._run(
            lambda connection: [row[0] for each in statements for row in connection.exec_driver_sql(each)]
        )
        return list(found)

    async def close(self) -> None:
        self._engine.dispose()

    async def _run(self, work: Callable[[Connection], Found]) -> Found:
        return await in_transaction(self._engine, work, what="the sealed values")
