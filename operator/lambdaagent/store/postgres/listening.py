"""Notifications of changes by other replicas, on a separate connection that stays open as long as the store.

Notifications during a lost connection are missed; the listeners are informed when it is back. A connection that broke
silently is detected by a query at an interval.
"""

import asyncio
from collections.abc import Callable

import asyncpg
import structlog

from lambdaagent.backoff import Backoff
from lambdaagent.cancellation import cancel
from lambdaagent.store.postgres import sql
from lambdaagent.store.postgres.pool import PostgresConnection, PostgresPool

log = structlog.get_logger(__name__)

_ALIVE = 15.0  # seconds between queries that check the connection


class Listening:
    def __init__(
        self, pool: PostgresPool, *, sender: str, channel: str = sql.CHANNEL, backoff: Backoff | None = None
    ) -> None:
        """`sender` is this replica, whose own notifications are left out."""
        self._pool = pool
        self._sender = sender
        self._channel = channel
        self._backoff = backoff or Backoff(first=0.2, cap=10.0)
        self._listeners: list[Callable[[str], None]] = []
        self._missed: list[Callable[[], None]] = []
        self._task: asyncio.Task[None] | None = None

    def add(self, listener: Callable[[str], None], missed: Callable[[], None]) -> None:
        """`missed` is called each time that listening begins: earlier notifications may have been lost."""
        self._listeners.append(listener)
        self._missed.append(missed)
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="store-listening")

    async def close(self) -> None:
        if self._task is not None:
            await cancel(self._task)

    async def _run(self) -> None:
        while True:
            try:
                await self._listen()
            except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                log.warning("store.listen_failed", error=self._pool.url.reason(error))
            except Exception:  # the root of this task
                log.exception("store.listen_crashed")
            await asyncio.sleep(self._backoff.next())

    async def _listen(self) -> None:
        """Listen until the connection ends. Raises ConnectionResetError then."""
        connection = await self._pool.connect()
        ended = asyncio.Event()
        try:
            connection.add_termination_listener(lambda _: ended.set())
            await connection.add_listener(self._channel, self._heard)
            self._backoff.reset()
            for missed in self._missed:
                missed()
            while not ended.is_set():
                try:
                    async with asyncio.timeout(_ALIVE):
                        await ended.wait()
                except TimeoutError:
                    await connection.execute("SELECT 1")
            raise ConnectionResetError("the connection ended")
        finally:
            connection.terminate()

    def _heard(self, connection: PostgresConnection, pid: int, channel: str, payload: object) -> None:
        sender, _, told = str(payload).partition(" ")
        if sender != self._sender:
            for listener in self._listeners:
                listener(told)
