"""The database for coordination in PostgreSQL, shared by all replicas.

The time is the server's: its difference to this machine's monotonic clock is measured now and then, so that a
replica whose clock jumps neither expires what others hold nor keeps what has ended. Announcements are NOTIFY in the
transaction itself, so they arrive exactly when the change is visible.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Any, cast

import asyncpg
import orjson
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, StatementError
from sqlalchemy.exc import TimeoutError as NoConnectionError
from sqlalchemy.ext.asyncio import create_async_engine

from lambdaagent.store.coordination import tables
from lambdaagent.store.coordination.database import Found, Listeners, Notice, Transaction, Work
from lambdaagent.store.errors import StoreError, UnfitError
from lambdaagent.store.postgres.listening import Listening
from lambdaagent.store.postgres.pool import AGAIN, UNFIT, PostgresPool
from lambdaagent.store.sealing import Sealing

CHANNEL = "lambdaagent_coordination"
_CALL = 15.0
_ATTEMPTS = 5
_TAKEN = "23505"  # another transaction wrote the same key meanwhile: the next attempt sees it
_MEASURED = 60.0  # seconds after which the difference of the clocks is measured again


class PostgresDatabase:
    def __init__(self, pool: PostgresPool, *, sender: str, sealing: Sealing, size: int = 6) -> None:
        """`pool` checks the schema; the database has connections of its own."""
        self._pool = pool
        self._sender = sender
        self._sealing = sealing
        self._engine = create_async_engine(
            "postgresql+asyncpg://",
            async_creator=pool.connect,
            json_serializer=tables.to_json,
            json_deserializer=orjson.loads,
            pool_size=size,
            max_overflow=0,
            pool_timeout=_CALL,
        )
        self._listening = Listening(pool, sender=sender, channel=CHANNEL)
        self._listeners = Listeners()
        self._offset = time.time() - time.monotonic()
        self._measured = float("-inf")

    async def run(self, work: Work[Found]) -> Found:
        found, notices = await self._attempted(work)
        self._listeners.tell(notices)
        return found

    async def read(self, work: Work[Found]) -> Found:
        return (await self._attempted(work))[0]

    def now(self) -> float:
        return time.monotonic() + self._offset

    def on_notice(self, listener: Callable[[Notice], None], *, missed: Callable[[], None]) -> None:
        self._listeners.add(listener)

        def heard(payload: str) -> None:
            kind, _, id_ = payload.partition(" ")
            listener(Notice(kind, id_))

        self._listening.add(heard, missed)

    async def close(self) -> None:
        await self._listening.close()
        await self._engine.dispose()

    async def _attempted(self, work: Work[Found]) -> tuple[Found, dict[Notice, None]]:
        if self._pool.problem is not None:
            await self._pool.look()
            if self._pool.problem is not None:
                raise StoreError(self._pool.problem)
        for attempt in range(_ATTEMPTS):
            try:
                async with asyncio.timeout(_CALL), self._engine.begin() as connection:
                    return await connection.run_sync(self._work, work)
            except DBAPIError as error:
                cause = getattr(error.orig, "__cause__", None) or error.orig
                state = getattr(cause, "sqlstate", None) or ""
                if state in (*AGAIN, _TAKEN) and attempt < _ATTEMPTS - 1:
                    continue
                if state.startswith(UNFIT):
                    raise UnfitError(self._reason(cause)) from None
                raise StoreError(f"{self._pool.url}: {self._reason(cause)}") from None
            except StatementError as error:
                raise tables.unfit(error) from None
            except (TimeoutError, NoConnectionError):
                raise StoreError(f"{self._pool.url} did not answer in time") from None
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                raise StoreError(f"{self._pool.url}: {self._reason(error)}") from None
        raise AssertionError("the last attempt raises or returns")

    def _work(self, connection: sa.Connection, work: Work[Found]) -> tuple[Found, dict[Notice, None]]:
        if time.monotonic() - self._measured > _MEASURED:
            self._measure(connection)
        transaction = Transaction(connection, self.now(), self._sealing)
        found = work(transaction)
        if transaction.notices:
            told = [f"{self._sender} {notice.kind} {notice.id}" for notice in transaction.notices]
            tell = sa.text(f"SELECT pg_notify('{CHANNEL}', each) FROM unnest(CAST(:told AS text[])) AS each")
            connection.execute(tell, {"told": told})
        return found, transaction.notices

    def _measure(self, connection: sa.Connection) -> None:
        begun = time.monotonic()
        at = connection.execute(sa.text("SELECT extract(epoch FROM clock_timestamp())")).scalar_one()
        ended = time.monotonic()
        self._offset, self._measured = float(at) - (begun + ended) / 2, ended

    def _reason(self, error: Any) -> str:
        return self._pool.url.reason(cast("BaseException", error))
