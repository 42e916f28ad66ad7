"""Pages of tasks by keyset, each along one index, so that the last page of a million costs the same as the first."""

import asyncio
from collections.abc import Sequence
from typing import Any

from lambdaagent.store import rows
from lambdaagent.store.postgres import sql
from lambdaagent.store.postgres.pool import PostgresConnection
from lambdaagent.store.postgres.texts import text
from lambdaagent.store.records import COUNTED, PAGE_BYTES, Page, TaskQuery, TaskRecord
from lambdaagent.store.sealing import Sealing
from lambdaagent.store.snapshots import SHARE

# Includes the log entries that the body lacks, which take at most this part of its size.
_SIZE = f"(octet_length(body) + CASE WHEN body_noted = version THEN octet_length(body) / {SHARE} ELSE 0 END)"


def record_of(row: Sequence[Any], *, sealing: Sealing, known: TaskRecord | None = None) -> TaskRecord:
    """Read a row of a task's columns and `sql.TAIL`. Raises SealedValueError."""
    *columns, tail = row
    return rows.record_of(columns, tail or (), sealing=sealing, known=known)


def found_of(row: Sequence[Any], *, sealing: Sealing) -> TaskRecord:
    """Read one row of a task's columns and `sql.TAIL` among many."""
    *columns, tail = row
    return rows.found_of(columns, tail or (), sealing=sealing)


async def find(connection: PostgresConnection, listing: TaskQuery, *, sealing: Sealing) -> Page:
    where = "namespace = $1 AND agent = $2"
    arguments: list[object] = [text(listing.namespace), text(listing.agent)]
    if listing.owner is not None:
        arguments.append(text(listing.owner))
        where += f" AND owner = ${len(arguments)}"
    if listing.context_id is not None:
        arguments.append(text(listing.context_id))
        where += f" AND context_id = ${len(arguments)}"
    if listing.state is not None:
        arguments.append(str(listing.state))
        where += f" AND state = ${len(arguments)}"
    if listing.updated_from is not None:
        arguments.append(listing.updated_from)
        where += f" AND updated >= ${len(arguments)}"
    counted = f"SELECT count(*) FROM (SELECT FROM {sql.TASKS} WHERE {where} LIMIT {COUNTED}) AS matching"
    total = await connection.fetchval(counted, *arguments)
    if listing.after is not None:
        where += f" AND (updated, id) < (${len(arguments) + 1}, ${len(arguments) + 2})"
        arguments += listing.after
    order = "ORDER BY updated DESC, id DESC"
    columns = f"{sql.TASK_COLUMNS}, body_version, body_noted"
    first = f"SELECT {columns} FROM {sql.TASKS} WHERE {where} {order} LIMIT {int(listing.limit) + 1}"
    sized = (
        f"SELECT *, sum({_SIZE}) OVER ({order}) - {_SIZE} AS before, "
        f"count(*) OVER () AS matching FROM ({first}) AS first"
    )
    wanted = f"SELECT {sql.TASK_COLUMNS}, {sql.TAIL}, matching FROM ({sized}) AS t WHERE before < {PAGE_BYTES} {order}"
    found = await connection.fetch(wanted, *arguments)
    records = []
    for row in found[: listing.limit]:
        records.append(found_of(tuple(row)[:-1], sealing=sealing))
        await asyncio.sleep(0)  # Parsing a large record takes time; let other coroutines run.
    return Page(records, total=total, more=bool(found) and found[0]["matching"] > len(records))
