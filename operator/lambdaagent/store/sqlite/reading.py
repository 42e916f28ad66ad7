"""Reads tasks from SQLite: a row, the separate snapshot of a large task that grows, and the log since then.

One statement reads the row and the snapshot. The log's entries up to the row's version never change and are deleted
only with their task, so a second statement reads them without a common transaction: if some are missing, the task was
deleted.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, Select, and_, bindparam, case, func, select

from lambdaagent.store import rows
from lambdaagent.store.errors import StoreError
from lambdaagent.store.records import PAGE_BYTES, Page, TaskRecord
from lambdaagent.store.sealing import Sealing
from lambdaagent.store.snapshots import SHARE
from lambdaagent.store.sqlite.schema import changes, snapshots, tasks

_COLUMNS = (*rows.TASK, "body_version")
_BODY = func.coalesce(snapshots.c.body, tasks.c.body).label("body")
TASKS = select(*(_BODY if name == "body" else tasks.c[name] for name in _COLUMNS)).select_from(
    tasks.outerjoin(snapshots, and_(snapshots.c.task_id == tasks.c.id, snapshots.c.version == tasks.c.body_version))
)
_BY_ID = TASKS.where(tasks.c.id == bindparam("task_id"))
_LOG = (
    select(changes.c.updates)
    .where(changes.c.task_id == bindparam("id"), changes.c.version > bindparam("after"))
    .where(changes.c.version <= bindparam("last"))
    .order_by(changes.c.version)
)
_ATTEMPTS = 3


def one(connection: Connection, task_id: str, *, sealing: Sealing) -> TaskRecord | None:
    """Raises StoreError."""
    found = _read(connection, _BY_ID, task_id=task_id)
    return rows.record_of(*found[0][:2], sealing=sealing) if found else None


def records(connection: Connection, wanted: Select[Any], *, sealing: Sealing) -> list[TaskRecord]:
    """Return the records that `wanted` selects from TASKS. Raises StoreError."""
    return [rows.found_of(row, log, sealing=sealing) for row, log, _ in _read(connection, wanted)]


def page(connection: Connection, first: Select[Any], counted: Select[Any], *, limit: int, sealing: Sealing) -> Page:
    """Return as many of the first tasks as fit into PAGE_BYTES. Raises StoreError."""
    found = _read(connection, _sized(first))
    more = bool(found) and found[0][2].matching > min(len(found), limit)
    total = connection.execute(counted).scalar_one()
    return Page([rows.found_of(row, log, sealing=sealing) for row, log, _ in found[:limit]], total=total, more=more)


_Found = tuple[Sequence[Any], Sequence[bytes], Row[Any]]
"""The columns of a task, the entries that its body lacks, and the whole row."""


def _read(connection: Connection, wanted: Select[Any], **values: object) -> list[_Found]:
    for _ in range(_ATTEMPTS):
        found = connection.execute(wanted, values).all()
        logs = [_log(connection, row) for row in found]
        if all(log is not None for log in logs):
            return [(row[: len(rows.TASK)], log or (), row) for row, log in zip(found, logs, strict=True)]
    raise StoreError("the log of a task is not complete")


def _log(connection: Connection, row: Row[Any]) -> Sequence[bytes] | None:
    """Return the log's entries after the snapshot; None if some are missing."""
    if row.body_version is None or row.body_version == row.version:
        return ()
    values = {"id": row.id, "after": row.body_version, "last": row.version}
    found = connection.execute(_LOG, values).scalars().all()
    return found if len(found) == row.version - row.body_version else None


def _sized(found: Select[Any]) -> Select[Any]:
    """Select the tasks of a page that fit into PAGE_BYTES, each with the number of all that were found."""
    first = found.subquery()
    newest = [first.c.updated.desc(), first.c.id.desc()]
    # Includes the log entries that the body lacks, which take at most this part of its size.
    length = func.length(first.c.body)
    size = length + case((first.c.body_version < first.c.version, length / SHARE), else_=0)
    before = (func.sum(size).over(order_by=newest) - size).label("before")
    sized = select(first, before, func.count().over().label("matching")).subquery()
    columns = [sized.c[name] for name in _COLUMNS]
    kept = select(*columns, sized.c.matching).where(sized.c.before < PAGE_BYTES)
    return kept.order_by(sized.c.updated.desc(), sized.c.id.desc())
