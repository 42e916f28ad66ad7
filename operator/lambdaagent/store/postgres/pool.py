"""Connections to one PostgreSQL: a call without a response fails in time, and the next one connects anew.

Hazard: a peer that vanishes without closing leaves a connection that looks alive, so every call has a deadline, and a
connection on which one passed is terminated. A failed write may have been committed: no write is repeated here, unless
the server itself reports that it did nothing (a deadlock, a serialization failure).
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import asyncpg

from lambdaagent.store.errors import StoreError, UnfitError
from lambdaagent.store.postgres import schema
from lambdaagent.store.postgres.urls import DatabaseUrl

Found = TypeVar("Found")
Work = Callable[["PostgresConnection"], Awaitable[Found]]
_CONNECT, _STATEMENT, _CALL = 5.0, 10.0, 15.0
AGAIN = ("40001", "40P01")
# SQLSTATE classes about the values: data exceptions, constraints, values too long for an index.
UNFIT = ("22", "23", "54")
_ATTEMPTS = 5
_SETTINGS = {
    "application_name": "lambdaagent gateway",
    "statement_timeout": str(int(_STATEMENT * 1000)),
    "idle_in_transaction_session_timeout": "30000",
    "tcp_user_timeout": "10000",
    "jit": "off",  # compilation would take a second for statements of a millisecond
}


class PostgresConnection(asyncpg.Connection):  # type: ignore[misc]  # asyncpg has no types
    def get_reset_query(self) -> str:
        """Return no query: nothing here changes the session's state, so no round trip is needed to reset it."""
        return ""


class PostgresPool:
    def __init__(self, url: DatabaseUrl, *, size: int = 8) -> None:
        self.url = url
        self.problem: str | None = f"{url} has not been reached yet"
        self._checked = False
        self._closed = False
        self._size = size
        self._pool: Any = None
        self._opening = asyncio.Lock()

    async def run(self, work: Work[Found], *, within: float = _CALL) -> Found:
        """Run `work` within so many seconds. Raises StoreError; UnfitError for values that PostgreSQL never accepts."""
        if self._closed:
            raise StoreError("the store is closed")
        for attempt in range(_ATTEMPTS):
            try:
                async with asyncio.timeout(within):
                    return await self._work(work)
            except asyncpg.PostgresError as error:
                if error.sqlstate in AGAIN and attempt < _ATTEMPTS - 1:
                    continue
                raise self._failed(error) from None
            except (OSError, TimeoutError, asyncpg.InterfaceError, asyncpg.InternalClientError) as error:
                raise self._failed(error) from None
        raise AssertionError("the last attempt raises or returns")

    async def look(self) -> None:
        """Connect and check whether the database can be used; `problem` holds why it cannot."""
        with contextlib.suppress(StoreError):
            await self.run(_nothing)

    async def connect(self) -> PostgresConnection:
        """Open a connection outside the pool."""
        connection: PostgresConnection = await asyncpg.connect(
            self.url.secret,
            ssl=self.url.tls,
            timeout=_CONNECT,
            command_timeout=_STATEMENT,
            connection_class=PostgresConnection,
            server_settings=_SETTINGS,
        )
        return connection

    async def close(self) -> None:
        self._closed = True
        if self._pool is None:
            return
        try:
            async with asyncio.timeout(_CONNECT):
                await self._pool.close()
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
            self._pool.terminate()

    async def _work(self, work: Work[Found]) -> Found:
        pool = await self._open()
        connection: PostgresConnection = await pool.acquire(timeout=_CONNECT)
        healthy = False
        try:
            if not self._checked:
                await self._check(connection)
            found = await work(connection)
            healthy = True
            return found
        except (asyncpg.PostgresError, StoreError):
            healthy = True
            raise
        finally:
            if not healthy:
                # A statement may still be running on it, and no caller waits for its result.
                connection.terminate()
            await pool.release(connection, timeout=1)

    async def _open(self) -> Any:
        if self._pool is None:
            async with self._opening:
                if self._pool is None:
                    self._pool = await asyncpg.create_pool(
                        self.url.secret,
                        ssl=self.url.tls,
                        min_size=0,
                        max_size=self._size,
                        timeout=_CONNECT,
                        command_timeout=_STATEMENT,
                        max_inactive_connection_lifetime=300,
                        connection_class=PostgresConnection,
                        server_settings=_SETTINGS,
                    )
        return self._pool

    async def _check(self, connection: PostgresConnection) -> None:
        try:
            revision = await connection.fetchval(f"SELECT version_num FROM {schema.TABLE}")
        except asyncpg.UndefinedTableError:
            revision = None
        problem = schema.problem(revision)
        if problem is not None:
            self.problem = problem
            raise StoreError(problem)
        self._checked, self.problem = True, None

    def _failed(self, error: BaseException) -> StoreError:
        failure = self._error(error)
        if not self._checked:
            self.problem = str(failure)
        return failure

    def _error(self, error: BaseException) -> StoreError:
        state = getattr(error, "sqlstate", None) or ""
        if state.startswith(UNFIT) or isinstance(error, ValueError):
            return UnfitError(self.url.reason(error))
        if isinstance(error, TimeoutError):
            return StoreError(f"{self.url} did not answer in time")
        return StoreError(f"{self.url}: {self.url.reason(error)}")


async def _nothing(connection: PostgresConnection) -> None:
    await connection.execute("SELECT 1")
