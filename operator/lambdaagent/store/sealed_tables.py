"""The tables with sealed values, and the SQL that reads and replaces these values, the same for every database.

A value is replaced only where it is still the value that was read, in the statement that writes it, so that a write of
a gateway in between is never lost. Nothing else of the row changes: versions and times stay as they are.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import orjson

from lambdaagent.store.envelope import HEAD, kid_of
from lambdaagent.store.rows import TENANT
from lambdaagent.store.sealing import SECRETS

Key = tuple[Any, ...]
Values = tuple[Any, ...]
SAMPLED = 100
Column = Callable[[str, str], str]
"""Returns the SQL of a column (table alias and name) as text or bytes; of a document, its text."""


@dataclass(frozen=True, slots=True)
class SealedTable:
    name: str
    key: tuple[str, ...]
    values: tuple[str, ...]
    bound: tuple[str, ...] = ()  # other columns of the row that the values are bound to
    of_task: bool = False  # the values are bound to the tenant of the row's task
    documents: tuple[str, ...] = ()  # the values that are JSON: sealed ones are JSON strings


TASKS = SealedTable("tasks", ("id",), ("body",), TENANT)
SNAPSHOTS = SealedTable("snapshots", ("task_id",), ("body",), of_task=True)
CHANGES = SealedTable("changes", ("task_id", "version"), ("updates",))
PUSHES = SealedTable("pushes", ("task_id", "id"), SECRETS, of_task=True)
LETTERS = SealedTable(
    "dead_letters", ("number",), ("attributes", "destination", "data"), ("namespace", "agent", "received")
)

COORDINATION = (
    SealedTable("a2a_messages", ("message_id",), ("content",), documents=("content",)),
    SealedTable("a2a_contexts", ("context_id",), ("data",), documents=("data",)),
    SealedTable("a2a_context_deltas", ("context_id", "version"), ("patch",), documents=("patch",)),
    SealedTable("a2a_tasks", ("task_id",), ("input_data", "hook_secret"), documents=("input_data",)),
    SealedTable("a2a_jobs", ("job_id",), ("input_data", "output_data"), documents=("input_data", "output_data")),
)
"""What agents that work together leave in the database; the name of each is that of its table."""


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


def heads_sql(
    table: SealedTable, names: Mapping[str, str], mark: Callable[[int], str], *, first: bool, document: Column
) -> str:
    """`mark` returns the placeholder of a parameter, counted from 1. The parameters are the key, and the limit."""
    key = ", ".join(table.key)
    marks = ", ".join(mark(place) for place in range(1, len(table.key) + 1))
    columns = [_column(table, "t", name, document) for name in table.values]
    size = " + ".join(f"length({column})" for column in columns)
    heads = ", ".join(f"substr({column}, 1, {HEAD})" for column in columns)
    where = "" if first else f"WHERE ({key}) > ({marks})"
    limit = mark(1 if first else len(table.key) + 1)
    return f"SELECT {key}, {size}, {heads} FROM {names[table.name]} t {where} ORDER BY {key} LIMIT {limit}"


def rows_sql(table: SealedTable, names: Mapping[str, str], where: str, *, document: Column) -> str:
    bound = [f"t.{name}" for name in table.bound] + [f"o.{name}" for name in TENANT if table.of_task]
    values = [_column(table, "t", name, document) for name in table.values]
    columns = ", ".join([*(f"t.{name}" for name in table.key), *values, *bound])
    owner = f"JOIN {names['tasks']} o ON o.id = t.task_id" if table.of_task else ""
    return f"SELECT {columns} FROM {names[table.name]} t {owner} WHERE {where}"


def as_written(table: SealedTable, values: Values) -> Values:
    """Return the values as they are stored: a sealed document as a JSON string."""
    return tuple(
        orjson.dumps(value).decode() if name in table.documents and kid_of(value) is not None else value
        for name, value in zip(table.values, values, strict=True)
    )


def _column(table: SealedTable, alias: str, name: str, document: Column) -> str:
    return document(alias, name) if name in table.documents else f"{alias}.{name}"


def sample_sql(names: Mapping[str, str], *, document: Column) -> list[str]:
    """Each statement reads along an index, or the first rows that there are."""
    return [
        f"SELECT {_head('body')} FROM {names['tasks']} WHERE settled = 2 ORDER BY updated DESC LIMIT {SAMPLED}",
        f"SELECT {_head('body')} FROM {names['tasks']} WHERE settled = 0 LIMIT {SAMPLED}",
        f"SELECT {_head('token')} FROM {names['pushes']} LIMIT {SAMPLED}",
        f"SELECT {_head('destination')} FROM {names['dead_letters']} ORDER BY number DESC LIMIT {SAMPLED}",
        f"SELECT {_head(document('t', 'content'))} FROM a2a_messages t ORDER BY created_at DESC LIMIT {SAMPLED}",
        f"SELECT {_head(document('t', 'data'))} FROM a2a_contexts t LIMIT {SAMPLED}",
    ]


def row_of(table: SealedTable, found: Sequence[Any]) -> SealedRow:
    key, values = len(table.key), len(table.key) + len(table.values)
    return SealedRow(tuple(found[:key]), tuple(found[key:values]), tuple(found[values:]))


def _head(column: str) -> str:
    return f"substr({column}, 1, {HEAD})"
