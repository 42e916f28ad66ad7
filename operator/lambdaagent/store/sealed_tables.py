"""The tables with sealed values, and the SQL that reads and replaces these values, the same for every database.

A value is replaced only where it is still the value that was read, in the statement that writes it, so that a write of
a gateway in between is never lost. Nothing else of the row changes: versions and times stay as they are.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from lambdaagent.store.envelope import HEAD
from lambdaagent.store.rows import TENANT
from lambdaagent.store.sealing import SECRETS

Key = tuple[Any, ...]
Values = tuple[Any, ...]
SAMPLED = 100


@dataclass(frozen=True, slots=True)
class SealedTable:
    name: str
    key: tuple[str, ...]
    values: tuple[str, ...]
    bound: tuple[str, ...] = ()  # other columns of the row that the values are bound to
    of_task: bool = False  # the values are bound to the tenant of the row's task


TASKS = SealedTable("tasks", ("id",), ("body",), TENANT)
SNAPSHOTS = SealedTable("snapshots", ("task_id",), ("body",), of_task=True)
CHANGES = SealedTable("changes", ("task_id", "version"), ("updates",))
PUSHES = SealedTable("pushes", ("task_id", "id"), SECRETS, of_task=True)
LETTERS = SealedTable(
    "dead_letters", ("number",), ("attributes", "destination", "data"), ("namespace", "agent", "received")
)


@dataclass(frozen=True, slots=True)
class Head:
    key: Key
    size: int  # of all values of the row
    heads: Values  # the first HEAD bytes of each value


@dataclass(frozen=True, slots=True)
class SealedRow:
    key: Key
    values: Values
    bound: Values


class SealedRows(Protocol):
    """Access to the sealed values of a database that gateways may use at the same time."""

    tables: Sequence[SealedTable]

    async def heads(self, table: SealedTable, *, after: Key | None, limit: int) -> list[Head]:
        """Return the next rows in the order of their keys."""
        ...

    async def load(self, table: SealedTable, keys: Sequence[Key]) -> list[SealedRow]: ...

    async def swap(self, table: SealedTable, changes: Sequence[tuple[SealedRow, Values]]) -> int:
        """Replace the values of rows that still have those that were read; return how many rows were changed."""
        ...

    async def sample(self) -> list[bytes | str]:
        """Return the beginnings of some newer values of each table, at little cost."""
        ...

    async def close(self) -> None: ...


def heads_sql(table: SealedTable, names: Mapping[str, str], mark: Callable[[int], str], *, first: bool) -> str:
    """`mark` returns the placeholder of a parameter, counted from 1. The parameters are the key, and the limit."""
    key = ", ".join(table.key)
    marks = ", ".join(mark(place) for place in range(1, len(table.key) + 1))
    size = " + ".join(f"length({name})" for name in table.values)
    heads = ", ".join(f"substr({name}, 1, {HEAD})" for name in table.values)
    where = "" if first else f"WHERE ({key}) > ({marks})"
    limit = mark(1 if first else len(table.key) + 1)
    return f"SELECT {key}, {size}, {heads} FROM {names[table.name]} {where} ORDER BY {key} LIMIT {limit}"


def rows_sql(table: SealedTable, names: Mapping[str, str], where: str) -> str:
    bound = [f"t.{name}" for name in table.bound] + [f"o.{name}" for name in TENANT if table.of_task]
    columns = ", ".join([*(f"t.{name}" for name in (*table.key, *table.values)), *bound])
    owner = f"JOIN {names['tasks']} o ON o.id = t.task_id" if table.of_task else ""
    return f"SELECT {columns} FROM {names[table.name]} t {owner} WHERE {where}"


def sample_sql(names: Mapping[str, str]) -> list[str]:
    """Each statement reads along an index, or the first rows that there are."""
    return [
        f"SELECT {_head('body')} FROM {names['tasks']} WHERE settled = 2 ORDER BY updated DESC LIMIT {SAMPLED}",
        f"SELECT {_head('body')} FROM {names['tasks']} WHERE settled = 0 LIMIT {SAMPLED}",
        f"SELECT {_head('token')} FROM {names['pushes']} LIMIT {SAMPLED}",
        f"SELECT {_head('destination')} FROM {names['dead_letters']} ORDER BY number DESC LIMIT {SAMPLED}",
    ]


def row_of(table: SealedTable, found: Sequence[Any]) -> SealedRow:
    key, values = len(table.key), len(table.key) + len(table.values)
    return SealedRow(tuple(found[:key]), tuple(found[key:values]), tuple(found[values:]))


def _head(column: str) -> str:
    return f"substr({column}, 1, {HEAD})"
