"""Tasks and dead letters in one SQLite file: what was confirmed survives kill -9.

SQLAlchemy runs synchronously in two small thread pools, one thread for writing: a whole batch is then one hop between
threads, where an async driver makes one per statement. WAL with synchronous=NORMAL: a dead process loses nothing, a
power cut may lose the last commits (never the file's soundness); `durable=True` syncs each commit for those who need
that too. One process holds the file (`FileLock`) and one thread writes to it, so that reading versions and duplicates
before the write is no race.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import orjson
from sqlalchemy import (
    Connection,
    Engine,
    Row,
    bindparam,
    create_engine,
    delete,
    event,
    insert,
    select,
    text,
    tuple_,
    update,
)
from sqlalchemy.dialects import sqlite
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.exc import DatabaseError, IntegrityError

from lambdaagent.a2a import Json
from lambdaagent.a2a.states import TaskState
from lambdaagent.store.errors import ConflictError, StoreError, StoreUnusableError
from lambdaagent.store.grouping import GroupCommit
from lambdaagent.store.locking import FileLock
from lambdaagent.store.memory import letter_key
from lambdaagent.store.records import Change, DeadLetter, Key, TaskRecord
from lambdaagent.store.schema import VERSION, changes, letters, metadata, tasks


@dataclass(frozen=True, slots=True)
class _Create:
    record: TaskRecord


@dataclass(frozen=True, slots=True)
class _Append:
    record: TaskRecord
    updates: Sequence[Json]
    key: Key | None


_Op = _Create | _Append | DeadLetter
Found = TypeVar("Found")
_BY_ID = select(tasks).where(tasks.c.id == bindparam("wanted"))
_CHANGING = ("version", "state", "settled", "updated", "body")

# Written by the dozen: compiled once to the driver's own SQL, so that a row costs a tuple and not a dict of parameters.
_INSERT_TASK = str(insert(tasks).compile(dialect=sqlite.dialect()))
_INSERT_CHANGE = str(insert(changes).compile(dialect=sqlite.dialect()))
_UPDATE_TASK = str(
    update(tasks)
    .where(tasks.c.id == bindparam("changed_id"))
    .values({name: bindparam(f"new_{name}") for name in _CHANGING})
    .compile(dialect=sqlite.dialect())
)


class SqliteStore:
    """Open with `await SqliteStore.open(path)`; close it, or the last batch may be cut short with the process."""

    def __init__(self, *, engine: Engine, lock: FileLock, writing: ThreadPoolExecutor) -> None:
        self._engine = engine
        self._lock = lock
        self._writing = writing
        # Of tasks under way, which only this process changes: what is here need not be asked for.
        self._versions: dict[str, int] = {}
        self._reading = ThreadPoolExecutor(2, thread_name_prefix="store-read")
        self._writer: GroupCommit[_Op] = GroupCommit(self._write)

    @classmethod
    async def open(cls, path: Path, *, durable: bool = False) -> "SqliteStore":
        """Raises StoreUnusableError, naming the file."""
        lock = FileLock(path)
        writing = ThreadPoolExecutor(1, thread_name_prefix="store-write")
        engine = _engine(path, synchronous="FULL" if durable else "NORMAL")
        try:
            await asyncio.get_running_loop().run_in_executor(writing, _migrate, engine, path)
        except BaseException:
            engine.dispose()
            writing.shutdown()
            lock.release()
            raise
        return cls(engine=engine, lock=lock, writing=writing)

    async def create(self, record: TaskRecord) -> None:
        await self._writer.submit(_Create(record))

    async def append(self, record: TaskRecord, *, updates: Sequence[Json], key: Key | None = None) -> bool:
        return await self._writer.submit(_Append(record, tuple(updates), key))

    async def bury(self, letter: DeadLetter) -> bool:
        return await self._writer.submit(letter)

    async def get(self, task_id: str) -> TaskRecord | None:
        rows = await self._read(lambda connection: connection.execute(_BY_ID, {"wanted": task_id}).all())
        return _record(rows[0]) if rows else None

    async def changes(self, task_id: str, *, after: int = 0) -> list[Change]:
        wanted = select(changes.c.version, changes.c.updates).where(
            changes.c.task_id == task_id, changes.c.version > after
        )
        rows = await self._read(lambda connection: connection.execute(wanted.order_by(changes.c.version)).all())
        return [Change(row.version, tuple(orjson.loads(row.updates))) for row in rows]

    async def unsettled(self) -> list[TaskRecord]:
        rows = await self._read(lambda connection: connection.execute(select(tasks).where(text("settled = 0"))).all())
        return [_record(row) for row in rows]

    async def letters(self, namespace: str, *, limit: int = 100) -> list[DeadLetter]:
        wanted = select(letters).where(letters.c.namespace == namespace).order_by(letters.c.number.desc()).limit(limit)
        return [_letter(row) for row in await self._read(lambda connection: connection.execute(wanted).all())]

    async def prune(self, *, before: float) -> int:
        return await asyncio.get_running_loop().run_in_executor(self._writing, self._prune, before)

    async def close(self) -> None:
        await self._writer.close()
        self._writing.shutdown()
        self._reading.shutdown()
        self._engine.dispose()
        self._lock.release()

    async def _read(self, query: Callable[[Connection], Found]) -> Found:
        def run() -> Found:
            with self._engine.connect() as connection:
                return query(connection)

        try:
            return await asyncio.get_running_loop().run_in_executor(self._reading, run)
        except DatabaseError as error:
            raise StoreError(f"the store could not be read: {error.orig}") from error

    async def _write(self, ops: Sequence[_Op]) -> list[bool | StoreError]:
        return await asyncio.get_running_loop().run_in_executor(self._writing, self._commit, ops)

    def _commit(self, ops: Sequence[_Op]) -> list[bool | StoreError]:
        try:
            return self._transaction(ops, careful=False)
        except IntegrityError:
            # An id was taken after all. One in a great many, so that looking each up before was not worth it.
            return self._transaction(ops, careful=True)

    def _transaction(self, ops: Sequence[_Op], *, careful: bool) -> list[bool | StoreError]:
        with self._engine.begin() as connection:
            plan = _Plan(
                versions=_versions(connection, ops, known=self._versions, careful=careful), keys=_keys(connection, ops)
            )
            outcomes = [plan.add(op) for op in ops]
            if plan.created:
                connection.exec_driver_sql(_INSERT_TASK, list(plan.created.values()))
            if plan.updated:
                connection.exec_driver_sql(_UPDATE_TASK, list(plan.updated.values()))
            if plan.logged:
                connection.exec_driver_sql(_INSERT_CHANGE, plan.logged)
            for index, letter in plan.buried:
                written = connection.execute(sqlite_insert(letters).values(letter).on_conflict_do_nothing())
                outcomes[index] = written.rowcount > 0
        # Committed: only now is it true.
        for task_id, (version, ended) in plan.changed.items():
            if ended:
                self._versions.pop(task_id, None)
            else:
                self._versions[task_id] = version
        return outcomes

    def _prune(self, before: float) -> int:
        ended = (text("settled = 2"), tasks.c.updated < before)
        with self._engine.begin() as connection:
            connection.execute(delete(changes).where(changes.c.task_id.in_(select(tasks.c.id).where(*ended))))
            return connection.execute(delete(tasks).where(*ended)).rowcount


class _Plan:
    """What one transaction does, decided in the order of arrival."""

    def __init__(self, *, versions: dict[str, int], keys: set[tuple[str, str, str]]) -> None:
        self._versions = versions
        self._keys = keys
        self._count = 0
        self.created: dict[str, tuple[Any, ...]] = {}
        self.updated: dict[str, tuple[Any, ...]] = {}
        self.logged: list[tuple[Any, ...]] = []
        self.changed: dict[str, tuple[int, bool]] = {}
        self.buried: list[tuple[int, dict[str, Any]]] = []

    def add(self, op: _Op) -> bool | StoreError:
        index, self._count = self._count, self._count + 1
        if isinstance(op, DeadLetter):
            self.buried.append((index, _letter_row(op)))
            return True
        record = op.record
        stored = self._versions.get(record.id)
        if isinstance(op, _Create):
            if stored is not None:
                return ConflictError(f"there is a task {record.id} already")
            self.created[record.id] = _row(record)
            self._note(record)
            return True
        if stored is None:
            return ConflictError(f"there is no task {record.id} any more")
        if op.key is not None and (record.id, *op.key) in self._keys:
            return False
        if stored + 1 != record.version:
            return ConflictError(f"task {record.id} is at version {stored}, not {record.version - 1}")
        if op.key is not None:
            self._keys.add((record.id, *op.key))
        self._note(record)
        source, event_id = op.key or (None, None)
        self.logged.append((record.id, record.version, source, event_id, orjson.dumps(op.updates)))
        if record.id in self.created:
            self.created[record.id] = _row(record)
        else:
            self.updated[record.id] = (*_changing(record), record.id)
        return True

    def _note(self, record: TaskRecord) -> None:
        self._versions[record.id] = record.version
        self.changed[record.id] = (record.version, record.state.terminal)


def _engine(path: Path, *, synchronous: str) -> Engine:
    engine = create_engine(f"sqlite:///{path}", pool_size=4, max_overflow=0)

    @event.listens_for(engine, "connect")
    def _configure(connection: Any, _: Any) -> None:
        cursor = connection.cursor()
        for pragma in ("journal_mode=WAL", f"synchronous={synchronous}", "busy_timeout=5000"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    return engine


def _migrate(engine: Engine, path: Path) -> None:
    try:
        with engine.begin() as connection:
            found = connection.execute(text("PRAGMA user_version")).scalar_one()
            if found > VERSION:
                raise StoreUnusableError(f"{path} was written by a newer version (schema {found}, known is {VERSION})")
            metadata.create_all(connection)
            connection.execute(text(f"PRAGMA user_version={VERSION}"))
    except DatabaseError as error:
        raise StoreUnusableError(f"{path} is not a database that can be used: {error.orig}") from None


def _versions(connection: Connection, ops: Sequence[_Op], *, known: Mapping[str, int], careful: bool) -> dict[str, int]:
    """Of the tasks that these change; carefully, also of those that they would create."""
    found: dict[str, int] = {}
    unknown: list[str] = []
    for op in ops:
        if not isinstance(op, DeadLetter):
            version = known.get(op.record.id)
            if version is not None:
                found[op.record.id] = version
            elif careful or isinstance(op, _Append):
                unknown.append(op.record.id)
    if unknown:
        rows = connection.execute(select(tasks.c.id, tasks.c.version).where(tasks.c.id.in_(unknown)))
        found.update((row.id, row.version) for row in rows)
    return found


def _keys(connection: Connection, ops: Sequence[_Op]) -> set[tuple[str, str, str]]:
    wanted = [(op.record.id, *op.key) for op in ops if isinstance(op, _Append) and op.key is not None]
    if not wanted:
        return set()
    columns = (changes.c.task_id, changes.c.source, changes.c.event_id)
    rows = connection.execute(select(*columns).where(tuple_(*columns).in_(wanted)))
    return {(row.task_id, row.source, row.event_id) for row in rows}


def _row(record: TaskRecord) -> tuple[Any, ...]:
    """In the order of the table's columns."""
    version, state, settled, updated, body = _changing(record)
    identity = (record.id, record.context_id, record.namespace, record.agent, record.skill, record.owner)
    return (*identity, version, state, settled, record.created, updated, body)


def _changing(record: TaskRecord) -> tuple[Any, ...]:
    """In the order of _CHANGING."""
    settled = 2 if record.state.terminal else int(record.state.settled)
    return record.version, str(record.state), settled, record.updated, orjson.dumps(record.task)


def _record(row: Row[Any]) -> TaskRecord:
    return TaskRecord(
        id=row.id,
        context_id=row.context_id,
        namespace=row.namespace,
        agent=row.agent,
        skill=row.skill,
        owner=row.owner,
        version=row.version,
        state=TaskState(row.state),
        created=row.created,
        updated=row.updated,
        task=orjson.loads(row.body),
    )


def _letter_row(letter: DeadLetter) -> dict[str, Any]:
    key = letter_key(letter)
    return {
        "namespace": letter.namespace,
        "agent": letter.agent,
        "source": key[2] if key else None,
        "event_id": key[3] if key else None,
        "reason": letter.reason,
        "received": letter.received,
        "attributes": orjson.dumps(dict(letter.attributes)),
        "data": letter.data,
    }


def _letter(row: Row[Any]) -> DeadLetter:
    return DeadLetter(
        namespace=row.namespace,
        agent=row.agent,
        reason=row.reason,
        received=row.received,
        attributes=orjson.loads(row.attributes),
        data=row.data,
    )
