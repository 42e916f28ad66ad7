"""Tasks and dead letters in one SQLite file. What was confirmed survives kill -9.

SQLAlchemy runs synchronously in two small thread pools, with one thread for writing: a whole batch is one hop between
threads, where an async driver needs one per statement. With WAL and synchronous=NORMAL a killed process loses nothing,
but a power cut may lose the last commits (it never corrupts the file); `durable=True` syncs each commit. One process
holds the file (`FileLock`), so any other holder of a task is dead.
"""

import asyncio
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import (
    Connection,
    Engine,
    case,
    create_engine,
    delete,
    event,
    func,
    select,
    text,
    tuple_,
)
from sqlalchemy.exc import DatabaseError, IntegrityError, OperationalError

from lambdaagent.a2a import Json
from lambdaagent.clock import Clock
from lambdaagent.store import rows
from lambdaagent.store.errors import StoreError, StoreUnusableError
from lambdaagent.store.group_commit import Append, Create, GroupCommit, MarkDelivered, size_of, submit_append
from lambdaagent.store.records import (
    COUNTED,
    DeadLetter,
    Key,
    Letters,
    Page,
    Push,
    TaskChange,
    TaskQuery,
    TaskRecord,
)
from lambdaagent.store.sealing import Sealing
from lambdaagent.store.snapshots import Snapshots
from lambdaagent.store.sqlite import dead_letters, deliveries, push_configs, schema
from lambdaagent.store.sqlite import reading as reading
from lambdaagent.store.sqlite.batch import Op, Outcome, WriteBatch
from lambdaagent.store.sqlite.database import SqliteDatabase
from lambdaagent.store.sqlite.lock import FileLock
from lambdaagent.store.sqlite.schema import changes, pushes, snapshots, tasks

Found = TypeVar("Found")
# Literal SQL, because SQLite does not use a partial index with a bound parameter.
_WORKING, _ENDED = text("settled = 0"), text("settled = 2")


class SqliteStore:
    """Open with `await SqliteStore.open(path)`, and close: else the last batch may be cut off when the process ends."""

    shared = False

    def __init__(
        self,
        *,
        path: Path,
        durable: bool,
        engine: Engine,
        lock: FileLock,
        writing: ThreadPoolExecutor,
        sealing: Sealing,
    ) -> None:
        self._path = path
        self._durable = durable
        self._engine = engine
        self._sealing = sealing
        self._lock = lock
        self._writing = writing
        # Versions of tasks that have not ended, which only this process changes: they need no query.
        self._versions: dict[str, int] = {}
        self._snapshots = Snapshots()
        self._living = ""
        self._reading = ThreadPoolExecutor(2, thread_name_prefix="store-read")
        self._writer: GroupCommit[Op, Outcome] = GroupCommit(self._write, size=size_of)

    @classmethod
    async def open(cls, path: Path, *, durable: bool = False, sealing: Sealing | None = None) -> "SqliteStore":
        """Open and migrate the file. Raises StoreUnusableError, which names the file."""
        lock = FileLock(path)
        writing = ThreadPoolExecutor(1, thread_name_prefix="store-write")
        engine = _engine(path, synchronous=_synchronous(durable))
        try:
            await asyncio.get_running_loop().run_in_executor(writing, _migrate, engine, path)
        except BaseException:
            engine.dispose()
            writing.shutdown()
            lock.release()
            raise
        return cls(
            path=path,
            durable=durable,
            engine=engine,
            lock=lock,
            writing=writing,
            sealing=sealing or Sealing(),
        )

    def coordination(self, clock: Clock) -> SqliteDatabase:
        """Return the database for coordination in the same file. Close it before the store."""
        return SqliteDatabase.beside(
            self._path,
            clock=clock,
            writing=self._writing,
            synchronous=_synchronous(self._durable),
            sealing=self._sealing,
        )

    async def create(
        self, record: TaskRecord, *, idempotency_key: str | None = None, push: Push | None = None
    ) -> str | None:
        op = Create.of(record, idempotency_key=idempotency_key, push=push, sealing=self._sealing)
        known = await self._writer.submit(op)
        return known if isinstance(known, str) else None

    async def append(self, record: TaskRecord, *, updates: Sequence[Json], key: Key | None = None) -> bool:
        op = Append.of(record, updates=updates, key=key, snapshots=self._snapshots, sealing=self._sealing)
        return await submit_append(self._writer, op, self._snapshots)

    async def add_dead_letter(self, letter: DeadLetter) -> bool:
        return await self._writer.submit(letter) is True

    async def changed_by(self, task_id: str, key: Key) -> bool:
        wanted = select(changes.c.version).where(
            changes.c.task_id == task_id, changes.c.source == key[0], changes.c.event_id == key[1]
        )
        return await self._read(lambda connection: connection.execute(wanted).first()) is not None

    async def get(self, task_id: str, *, known: TaskRecord | None = None) -> TaskRecord | None:
        return await self._read(lambda connection: reading.one(connection, task_id, sealing=self._sealing))

    async def changes(self, task_id: str, *, after: int = 0) -> list[TaskChange]:
        wanted = select(changes.c.version, changes.c.updates).where(
            changes.c.task_id == task_id, changes.c.version > after
        )
        found = await self._read(lambda connection: connection.execute(wanted.order_by(changes.c.version)).all())
        return [rows.change_of(row, task_id=task_id, sealing=self._sealing) for row in found]

    async def find(self, listing: TaskQuery) -> Page:
        matching = [tasks.c.namespace == listing.namespace, tasks.c.agent == listing.agent]
        if listing.owner is not None:
            matching.append(tasks.c.owner == listing.owner)
        if listing.context_id is not None:
            matching.append(tasks.c.context_id == listing.context_id)
        if listing.state is not None:
            matching.append(tasks.c.state == str(listing.state))
        if listing.updated_from is not None:
            matching.append(tasks.c.updated >= listing.updated_from)
        counted = select(func.count()).select_from(select(text("1")).where(*matching).limit(COUNTED).subquery())
        place = tuple_(tasks.c.updated, tasks.c.id)
        first = reading.TASKS.where(*matching).order_by(tasks.c.updated.desc(), tasks.c.id.desc())
        if listing.after is not None:
            first = first.where(place < tuple_(*listing.after))
        first = first.limit(listing.limit + 1)
        return await self._read(
            lambda connection: reading.page(connection, first, counted, limit=listing.limit, sealing=self._sealing)
        )

    async def unsettled(self, *, holders: Collection[str] | None = None) -> list[TaskRecord]:
        wanted = reading.TASKS.where(_WORKING)
        if holders is not None:
            wanted = wanted.where(tasks.c.holder.in_(list(holders)))
        return await self._read(lambda connection: reading.records(connection, wanted, sealing=self._sealing))

    async def held(self, holder: str) -> set[str]:
        wanted = select(tasks.c.id).where(_WORKING, tasks.c.holder == holder)
        return set(await self._read(lambda connection: connection.execute(wanted).scalars().all()))

    async def working(self, namespace: str, agent: str, owner: str, *, most: int) -> int:
        theirs = (tasks.c.namespace == namespace, tasks.c.agent == agent, tasks.c.owner == owner)
        wanted = select(func.count()).select_from(select(tasks.c.id).where(_WORKING, *theirs).limit(most).subquery())
        return int(await self._read(lambda connection: connection.execute(wanted).scalar_one()))

    async def overdue(self, *, now: float, held_before: float) -> list[TaskRecord]:
        late = case((tasks.c.holder == "", tasks.c.deadline < now), else_=tasks.c.deadline < held_before)
        wanted = reading.TASKS.where(_WORKING, late)
        return await self._read(lambda connection: reading.records(connection, wanted, sealing=self._sealing))

    async def prune(self, *, before: float, keep: int | None = None) -> int:
        return await self._alone(lambda connection: _prune(connection, before, keep))

    async def beat(self, holder: str, *, seconds: float) -> None:
        self._living = holder

    async def expired_replicas(self) -> list[str]:
        wanted = select(tasks.c.holder).distinct().where(_WORKING, tasks.c.holder.not_in(["", self._living]))
        found = await self._read(lambda connection: connection.execute(wanted.order_by(tasks.c.holder)).all())
        return [holder for (holder,) in found]

    def on_change(self, listener: Callable[[str], None], *, missed: Callable[[], None]) -> None:
        """Do nothing: there are no other replicas."""

    async def put_push(self, push: Push) -> None:
        await self._alone(lambda connection: push_configs.put(connection, push, sealing=self._sealing))

    async def pushes(self, task_id: str) -> list[Push]:
        return await self._read(lambda connection: push_configs.of(connection, task_id, sealing=self._sealing))

    async def drop_push(self, task_id: str, push_id: str) -> bool:
        return await self._alone(lambda connection: push_configs.drop(connection, task_id, push_id))

    async def claim_pushes(self, *, now: float, until: float, limit: int) -> list[Push]:
        # Called every few seconds, mostly without result: the read avoids a wait for the writer.
        if not await self._read(lambda connection: push_configs.any_due(connection, now)):
            return []
        return await self._alone(
            lambda connection: push_configs.claim(connection, now, until=until, limit=limit, sealing=self._sealing)
        )

    async def settle_push(self, push: Push) -> None:
        await self._alone(lambda connection: push_configs.settle(connection, push))

    async def find_letters(self, wanted: Letters) -> list[DeadLetter]:
        return await self._read(lambda connection: dead_letters.find(connection, wanted, sealing=self._sealing))

    async def letter(self, letter_id: str) -> DeadLetter | None:
        return await self._read(lambda connection: dead_letters.get(connection, letter_id, sealing=self._sealing))

    async def free_letter(self, letter_id: str) -> bool:
        return await self._alone(lambda connection: dead_letters.free(connection, letter_id))

    async def drop_letters(self, letter_ids: Collection[str]) -> int:
        return await self._alone(lambda connection: dead_letters.drop(connection, letter_ids))

    async def prune_letters(self, *, before: float) -> int:
        return await self._alone(lambda connection: dead_letters.prune(connection, before))

    async def record_delivery(self, *, namespace: str, agent: str, key: Key, now: float) -> bool:
        return await self._writer.submit(MarkDelivered(namespace, agent, key, now)) is True

    async def deliveries(self, namespace: str, agent: str, *, since: float, limit: int) -> list[Key]:
        return await self._read(
            lambda connection: deliveries.newest(connection, namespace, agent, since=since, limit=limit)
        )

    async def prune_deliveries(self, *, before: float) -> int:
        return await self._alone(lambda connection: deliveries.prune(connection, before))

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

    async def _alone(self, change: Callable[[Connection], Found]) -> Found:
        """Run a rare write in the writer's thread, in its own transaction."""

        def run() -> Found:
            with self._engine.begin() as connection:
                return change(connection)

        try:
            return await asyncio.get_running_loop().run_in_executor(self._writing, run)
        except DatabaseError as error:
            raise StoreError(f"the store could not write: {error.orig}") from error

    async def _write(self, ops: Sequence[Op]) -> list[Outcome | StoreError]:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._writing, self._commit, ops)
        except OperationalError as error:  # a full disk, a locked file: not the fault of the values
            raise StoreError(f"the store could not write: {error.orig}") from error

    def _commit(self, ops: Sequence[Op]) -> list[Outcome | StoreError]:
        try:
            return self._transaction(ops, careful=False)
        except IntegrityError:
            # An id was taken. This is so rare that a lookup of each id beforehand does not pay.
            return self._transaction(ops, careful=True)

    def _transaction(self, ops: Sequence[Op], *, careful: bool) -> list[Outcome | StoreError]:
        with self._engine.begin() as connection:
            batch = WriteBatch(connection, ops, known=self._versions, careful=careful, sealing=self._sealing)
            outcomes = batch.write()
        # Committed: only now are the versions valid.
        for task_id, (version, ended) in batch.changed.items():
            if ended:
                self._versions.pop(task_id, None)
            else:
                self._versions[task_id] = version
        return outcomes


def _prune(connection: Connection, before: float, keep: int | None) -> int:
    old = tasks.c.updated < before
    if keep is not None:
        newest = select(tasks.c.updated, tasks.c.id).where(_ENDED).order_by(tasks.c.updated.desc(), tasks.c.id.desc())
        first_too_many = connection.execute(newest.offset(keep).limit(1)).first()
        if first_too_many is not None:
            old = old | (tuple_(tasks.c.updated, tasks.c.id) <= tuple_(*first_too_many))
    gone = select(tasks.c.id).where(_ENDED, old)
    for table in (changes, pushes, snapshots):
        connection.execute(delete(table).where(table.c.task_id.in_(gone)))
    return connection.execute(delete(tasks).where(_ENDED, old)).rowcount


def _synchronous(durable: bool) -> str:
    return "FULL" if durable else "NORMAL"


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
            if found > schema.VERSION:
                known = schema.VERSION
                raise StoreUnusableError(f"{path} was written by a newer version (schema {found}, known is {known})")
            if found < schema.VERSION:
                # The driver would begin a transaction only at the first change of rows, and a failure would leave half
                # a schema.
                connection.execute(text("BEGIN IMMEDIATE"))
                schema.migrate(connection, found=found)
    except DatabaseError as error:
        raise StoreUnusableError(f"{path} is not a database that can be used: {error.orig}") from None
