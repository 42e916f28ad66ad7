"""The database for coordination in a SQLite file, or in memory.

All writes run in one thread. Those that wait for it share a transaction, with a savepoint for each, because most of a
commit's cost is the same for one as for thirty (`group_commit`).
"""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, cast

import orjson
from sqlalchemy import Connection, Engine, create_engine, create_mock_engine, event
from sqlalchemy.engine.mock import MockConnection
from sqlalchemy.exc import DatabaseError, IntegrityError, StatementError
from sqlalchemy.pool import StaticPool

from lambdaagent.clock import Clock
from lambdaagent.store.coordination import schema, tables
from lambdaagent.store.coordination.database import Found, Listeners, Notice, Transaction, Work
from lambdaagent.store.errors import StoreError, UnfitError
from lambdaagent.store.group_commit import GroupCommit
from lambdaagent.store.sealing import Sealing

_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True)
class _Outcome:
    value: Any
    error: Exception | None
    notices: dict[Notice, None]


class SqliteDatabase:
    def __init__(
        self, engine: Engine, *, clock: Clock, writing: ThreadPoolExecutor | None = None, sealing: Sealing | None = None
    ) -> None:
        """`writing` has one thread. Without it the database has a thread of its own."""
        self._engine = engine
        self._writes = engine.execution_options(writes=True)
        self._clock = clock
        self._sealing = sealing or Sealing()
        self._own = None if writing is not None else ThreadPoolExecutor(1, thread_name_prefix="coordination-write")
        self._writing = writing or cast("ThreadPoolExecutor", self._own)
        in_memory = isinstance(engine.pool, StaticPool)  # one connection serves reads and writes
        self._reading = None if in_memory else ThreadPoolExecutor(2, thread_name_prefix="coordination-read")
        self._listeners = Listeners()
        self._writer: GroupCommit[Work[Any], _Outcome] = GroupCommit(self._write)

    @classmethod
    def in_memory(cls, clock: Clock) -> "SqliteDatabase":
        engine = _engine("sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False})
        with engine.begin() as connection:
            for statement in _statements():
                connection.exec_driver_sql(statement)
        return cls(engine, clock=clock)

    @classmethod
    def beside(
        cls, path: Path, *, clock: Clock, writing: ThreadPoolExecutor, synchronous: str, sealing: Sealing
    ) -> "SqliteDatabase":
        """Return the database in a file that a store holds and has migrated; `writing` is the store's."""
        pragmas = ("journal_mode=WAL", f"synchronous={synchronous}", "busy_timeout=5000")
        engine = _engine(f"sqlite:///{path}", pragmas, pool_size=4, max_overflow=0)
        return cls(engine, clock=clock, writing=writing, sealing=sealing)

    async def run(self, work: Work[Found]) -> Found:
        outcome = await self._writer.submit(work)
        if outcome.error is not None:
            raise outcome.error
        self._listeners.tell(outcome.notices)
        return cast("Found", outcome.value)

    async def read(self, work: Work[Found]) -> Found:
        def run() -> Found:
            with self._engine.connect() as connection:
                return work(Transaction(connection, self.now(), self._sealing))

        try:
            return await asyncio.get_running_loop().run_in_executor(self._reading or self._writing, run)
        except DatabaseError as error:
            raise StoreError(f"the store could not be read: {error.orig}") from error

    def now(self) -> float:
        return self._clock.now()

    def on_notice(self, listener: Callable[[Notice], None], *, missed: Callable[[], None]) -> None:
        self._listeners.add(listener)

    async def close(self) -> None:
        await self._writer.close()
        if self._own is not None:
            self._own.shutdown()
        if self._reading is not None:
            self._reading.shutdown()
        self._engine.dispose()

    async def _write(self, works: Sequence[Work[Any]]) -> list[_Outcome]:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._writing, self._commit, works)
        except DatabaseError as error:  # of the transaction itself: a full disk, a locked file
            raise StoreError(f"the store could not write: {error.orig}") from error

    def _commit(self, works: Sequence[Work[Any]]) -> list[_Outcome]:
        with self._writes.begin() as connection:
            return [self._alone(connection, work) for work in works]

    def _alone(self, connection: Connection, work: Work[Any]) -> _Outcome:
        """Run one of several works. What it raises is its own caller's."""
        transaction = Transaction(connection, self.now(), self._sealing)
        try:
            with connection.begin_nested():
                value = work(transaction)
        except IntegrityError as error:
            return _Outcome(None, UnfitError(f"the store refuses this value: {error.orig}"), {})
        except DatabaseError as error:
            return _Outcome(None, StoreError(f"the store could not write: {error.orig}"), {})
        except StatementError as error:  # a value of a type that no column takes
            return _Outcome(None, tables.unfit(error), {})
        except Exception as error:  # belongs to the caller of this work, not to the writer
            return _Outcome(None, error, {})
        return _Outcome(value, None, transaction.notices)


@cache
def _statements() -> Sequence[str]:
    """Return what makes the tables. Compiling them takes ten times as long as making them."""
    made: list[str] = []

    def take(statement: Any, *_: Any, **__: Any) -> None:
        made.append(str(statement.compile(dialect=engine.dialect)))

    engine: MockConnection = create_mock_engine("sqlite://", take)
    schema.metadata.create_all(engine, checkfirst=False)
    return made


def _engine(url: str, pragmas: Sequence[str] = (), **options: Any) -> Engine:
    engine = create_engine(url, json_serializer=tables.to_json, json_deserializer=orjson.loads, **options)

    @event.listens_for(engine, "connect")
    def _configure(connection: Any, _: Any) -> None:
        connection.isolation_level = None  # the driver begins no transaction of its own, which savepoints need
        cursor = connection.cursor()
        for pragma in pragmas:
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        # A transaction that begins as a read could not become a write after another process wrote.
        connection.exec_driver_sql("BEGIN IMMEDIATE" if connection.get_execution_options().get("writes") else "BEGIN")

    return engine
