"""The sealed values of a PostgreSQL that gateways use."""

from collections.abc import Sequence
from typing import Any

from lambdaagent.store import sealed_tables
from lambdaagent.store.postgres import sql
from lambdaagent.store.postgres.pool import PostgresPool
from lambdaagent.store.sealed_tables import (
    CHANGES,
    COORDINATION,
    LETTERS,
    PUSHES,
    TASKS,
    Head,
    Key,
    SealedRow,
    SealedTable,
    Values,
    as_written,
    row_of,
)

_NAMES = {
    TASKS.name: sql.TASKS, CHANGES.name: sql.CHANGES, PUSHES.name: sql.PUSHES, LETTERS.name: sql.LETTERS,
    **{table.name: table.name for table in COORDINATION},
}  # fmt: skip
_TYPES = {"number": "bigint"} | sql.TYPES


class PostgresSealedRows:
    tables: Sequence[SealedTable] = (TASKS, CHANGES, PUSHES, LETTERS, *COORDINATION)

    def __init__(self, pool: PostgresPool) -> None:
        self._pool = pool

    async def heads(self, table: SealedTable, *, after: Key | None, limit: int) -> list[Head]:
        statement = sealed_tables.heads_sql(
            table, _NAMES, lambda place: f"${place}", first=after is None, document=_document
        )
        key = len(table.key)
        found = await self._fetch(statement, *(after or ()), limit)
        return [Head(tuple(row[:key]), row[key], tuple(row[key + 1 :])) for row in found]

    async def load(self, table: SealedTable, keys: Sequence[Key]) -> list[SealedRow]:
        where = f"({_columns('t', table.key)}) IN (SELECT * FROM unnest({_arrays(table, table.key)}))"
        found = await self._fetch(
            sealed_tables.rows_sql(table, _NAMES, where, document=_document), *zip(*keys, strict=True)
        )
        return [row_of(table, row) for row in found]

    async def swap(self, table: SealedTable, changes: Sequence[tuple[SealedRow, Values]]) -> int:
        before, after = [[f"{name}_{when}" for name in table.values] for when in ("before", "after")]
        given = f"unnest({_arrays(table, (*table.key, *table.values, *table.values))})"
        new = ", ".join(
            f"{name} = g.{given_name}::jsonb" if name in table.documents else f"{name} = g.{given_name}"
            for name, given_name in zip(table.values, after, strict=True)
        )
        known = ", ".join(_document("t", name) if name in table.documents else f"t.{name}" for name in table.values)
        statement = (
            f"UPDATE {_NAMES[table.name]} t SET {new} FROM {given} AS g ({', '.join((*table.key, *before, *after))}) "
            f"WHERE ({_columns('t', table.key)}) = ({_columns('g', table.key)}) "
            f"AND ({known}) = ({_columns('g', before)}) RETURNING 1"
        )
        rows = [(*row.key, *row.values, *as_written(table, values)) for row, values in changes]
        return len(await self._fetch(statement, *zip(*rows, strict=True)))

    async def sample(self) -> list[bytes | str]:
        return [
            row[0]
            for statement in sealed_tables.sample_sql(_NAMES, document=_document)
            for row in await self._fetch(statement)
        ]

    async def close(self) -> None:
        await self._pool.close()

    async def _fetch(self, statement: str, *arguments: object) -> list[Any]:
        found: list[Any] = await self._pool.run(lambda connection: connection.fetch(statement, *arguments))
        return found


def _document(alias: str, name: str) -> str:
    return f"({alias}.{name} #>> '{{}}')"


def _columns(table: str, names: Sequence[str]) -> str:
    return ", ".join(f"{table}.{name}" for name in names)


def _arrays(table: SealedTable, names: Sequence[str]) -> str:
    types = _TYPES | dict.fromkeys(table.documents, "text")
    return ", ".join(f"${place}::{types.get(name, 'text')}[]" for place, name in enumerate(names, start=1))
