"""Writes a whole batch in one SQLite transaction: decides in the order of arrival, then passes the rows as tuples.

One process holds the file and one thread writes to it, so that reading versions and duplicates before the write is not
a race. Statements are compiled once to the driver's own SQL, so that each row is a tuple and not a dict of parameters.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, bindparam, delete, func, insert, select, tuple_, update
from sqlalchemy.dialects import sqlite
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from lambdaagent.store import rows
from lambdaagent.store.errors import StoreError, TaskConflictError
from lambdaagent.store.group_commit import Append, Create, MarkDelivered
from lambdaagent.store.records import DeadLetter, Push, TaskRecord
from lambdaagent.store.sealing import Sealing
from lambdaagent.store.snapshots import SMALL
from lambdaagent.store.sqlite import deliveries, push_configs
from lambdaagent.store.sqlite.schema import changes, letters, snapshots, tasks

_INSERT_TASK = str(
    insert(tasks).values({name: bindparam(name) for name in rows.TASK}).compile(dialect=sqlite.dialect())
)
_INSERT_CHANGE = str(insert(changes).compile(dialect=sqlite.dialect()))
_CHANGED = update(tasks).where(tasks.c.id == bindparam("changed_id"))
_UPDATE_TASK = str(
    _CHANGED.values({name: bindparam(f"new_{name}") for name in (*rows.CHANGING, "body_version")}).compile(
        dialect=sqlite.dialect()
    )
)
# Keep the snapshot's version: if the row itself held the whole task, that is the row's previous version.
_EXTEND_TASK = str(
    _CHANGED.values({name: bindparam(f"new_{name}") for name in rows.CHANGING if name != "body"})
    .values(body_version=func.coalesce(tasks.c.body_version, tasks.c.version))
    .compile(dialect=sqlite.dialect())
)
_PUT_SNAPSHOT = "INSERT OR REPLACE INTO snapshots (task_id, version, body) VALUES (?, ?, ?)"

Op = Create | Append | DeadLetter | MarkDelivered
Outcome = bool | str | None
"""For a Create: None, or the id of the existing task; for the others: whether the operation was new."""
_Once = tuple[str, str, str, str]


class WriteBatch:
    """The operations of one transaction; `changed` is valid only after the commit."""

    def __init__(
        self, connection: Connection, ops: Sequence[Op], *, known: Mapping[str, int], careful: bool, sealing: Sealing
    ) -> None:
        """`known`: versions that need no query. `careful`: the ids of new tasks are looked up too."""
        self._connection = connection
        self._sealing = sealing
        self._versions = _versions(connection, ops, known=known, careful=careful)
        self._keys = _keys(connection, ops)
        self._once = _once(connection, ops)
        self._deliveries = deliveries.DeliveryBatch(connection, [op for op in ops if isinstance(op, MarkDelivered)])
        self._created: dict[str, tuple[Any, ...]] = {}
        self._updated: dict[str, tuple[Any, ...]] = {}
        self._extended: dict[str, tuple[Any, ...]] = {}
        self._snapshots: dict[str, tuple[str, int, bytes]] = {}
        self._dropped: list[str] = []
        self._logged: list[tuple[Any, ...]] = []
        self._pushes: list[Push] = []
        self.changed: dict[str, tuple[int, bool]] = {}
        self._ops = ops

    def write(self) -> list[Outcome | StoreError]:
        outcomes = [self._add(op) for op in self._ops]
        if self._created:
            self._connection.exec_driver_sql(_INSERT_TASK, list(self._created.values()))
        if self._updated:
            self._connection.exec_driver_sql(_UPDATE_TASK, list(self._updated.values()))
        if self._extended:
            self._connection.exec_driver_sql(_EXTEND_TASK, list(self._extended.values()))
        if self._dropped:
            self._connection.execute(delete(snapshots).where(snapshots.c.task_id.in_(self._dropped)))
        if self._snapshots:
            self._connection.exec_driver_sql(_PUT_SNAPSHOT, list(self._snapshots.values()))
        for push in self._pushes:
            push_configs.put(self._connection, push, sealing=self._sealing)
        if self._logged:
            self._connection.exec_driver_sql(_INSERT_CHANGE, self._logged)
        self._deliveries.write()
        return outcomes

    def _add(self, op: Op) -> Outcome | StoreError:
        if isinstance(op, DeadLetter):
            values = dict(zip(rows.LETTER, rows.letter_row(op, sealing=self._sealing), strict=True))
            written = self._connection.execute(sqlite_insert(letters).values(values).on_conflict_do_nothing())
            return written.rowcount > 0
        if isinstance(op, MarkDelivered):
            return self._deliveries.add(op)
        return self._create(op) if isinstance(op, Create) else self._append(op)

    def _create(self, op: Create) -> Outcome | StoreError:
        record, key = op.record, once_key(op)
        if key is not None and (known := self._once.get(key)) is not None:
            return known
        if record.id in self._versions:
            return TaskConflictError(f"task {record.id} exists already")
        self._created[record.id] = rows.task_row(record, op.idempotency_key, op.body)
        if key is not None:
            self._once[key] = record.id
        if op.push is not None:
            self._pushes.append(op.push)
        self._note(record)
        return None

    def _append(self, op: Append) -> Outcome | StoreError:
        record = op.record
        stored = self._versions.get(record.id)
        if stored is None:
            return TaskConflictError(f"task {record.id} no longer exists")
        if op.key is not None and (record.id, *op.key) in self._keys:
            return False
        if stored + 1 != record.version:
            return TaskConflictError(f"task {record.id} is at version {stored}, not {record.version - 1}")
        if op.key is not None:
            self._keys.add((record.id, *op.key))
        self._note(record)
        source, event_id = op.key or (None, None)
        self._logged.append((record.id, record.version, source, event_id, op.updates))
        if op.body is None:
            version, state, settled, updated, _, *place = rows.changing(record, None)
            self._extended[record.id] = (version, state, settled, updated, *place, record.id)
            return True
        self._extended.pop(record.id, None)
        if (created := self._created.get(record.id)) is not None:
            self._created[record.id] = rows.task_row(record, created[-1], op.body)
        else:
            self._update(record, op.body)
        return True

    def _update(self, record: TaskRecord, body: bytes) -> None:
        self._snapshots.pop(record.id, None)
        apart = len(body) > SMALL and not record.state.settled
        if apart:
            self._snapshots[record.id] = (record.id, record.version, body)
        elif len(body) > SMALL:
            self._dropped.append(record.id)
        own, of = (b"", record.version) if apart else (body, None)
        self._updated[record.id] = (*rows.changing(record, own), of, record.id)

    def _note(self, record: TaskRecord) -> None:
        self._versions[record.id] = record.version
        self.changed[record.id] = (record.version, record.state.terminal)


def once_key(op: Create) -> _Once | None:
    record = op.record
    return (
        (record.namespace, record.agent, record.owner, op.idempotency_key) if op.idempotency_key is not None else None
    )


def _versions(connection: Connection, ops: Sequence[Op], *, known: Mapping[str, int], careful: bool) -> dict[str, int]:
    found: dict[str, int] = {}
    unknown: list[str] = []
    for op in ops:
        if isinstance(op, Create | Append):
            version = known.get(op.record.id)
            if version is not None:
                found[op.record.id] = version
            elif careful or isinstance(op, Append):
                unknown.append(op.record.id)
    if unknown:
        read = connection.execute(select(tasks.c.id, tasks.c.version).where(tasks.c.id.in_(unknown)))
        found.update((row.id, row.version) for row in read)
    return found


def _keys(connection: Connection, ops: Sequence[Op]) -> set[tuple[str, str, str]]:
    wanted = [(op.record.id, *op.key) for op in ops if isinstance(op, Append) and op.key is not None]
    if not wanted:
        return set()
    columns = (changes.c.task_id, changes.c.source, changes.c.event_id)
    read = connection.execute(select(*columns).where(tuple_(*columns).in_(wanted)))
    return {(row.task_id, row.source, row.event_id) for row in read}


def _once(connection: Connection, ops: Sequence[Op]) -> dict[_Once, str]:
    wanted = [key for op in ops if isinstance(op, Create) and (key := once_key(op)) is not None]
    if not wanted:
        return {}
    columns = (tasks.c.namespace, tasks.c.agent, tasks.c.owner, tasks.c.once)
    read = connection.execute(
        select(*columns, tasks.c.id).where(tuple_(*columns).in_(wanted), tasks.c.once.is_not(None))
    )
    return {(row.namespace, row.agent, row.owner, row.once): row.id for row in read}
