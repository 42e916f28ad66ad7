"""A bounded queue of items that one background worker sends in order.

Whoever puts an item in does not wait. At the end the worker gets a short time to send what is left.

Hazard: an item is lost if the queue is full, or if the process ends before the item is sent.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Generic, TypeVar

import structlog

from lambdaagent.cancellation import cancel

log = structlog.get_logger(__name__)

Item = TypeVar("Item")
Send = Callable[[Item], Awaitable[None]]
Failed = Callable[[Item], None]
SIZE = 1000
LAST_SECONDS = 3.0


class Outbox(Generic[Item]):
    def __init__(self, name: str) -> None:
        """`name` is that of the worker's task, in logs."""
        self._name = name
        self._items: asyncio.Queue[Item] = asyncio.Queue(SIZE)

    def put(self, item: Item) -> bool:
        """False if the queue is full."""
        try:
            self._items.put_nowait(item)
        except asyncio.QueueFull:
            return False
        return True

    @asynccontextmanager
    async def run(self, send: Send[Item], *, failed: Failed[Item]) -> AsyncIterator[None]:
        """Send items while the context is open.

        `failed` gets an item for which `send` raised an unexpected error, and each that was not sent in time.
        """
        worker = asyncio.create_task(self._work(send, failed), name=self._name)
        try:
            yield
        finally:
            rest = asyncio.create_task(self._items.join(), name=f"last {self._name}")
            await asyncio.wait([rest, worker], timeout=LAST_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            await cancel(rest, worker)
            while not self._items.empty():
                failed(self._items.get_nowait())

    async def _work(self, send: Send[Item], failed: Failed[Item]) -> None:
        while True:
            item = await self._items.get()
            try:
                await send(item)
            except Exception:  # the outermost handler of this asyncio task: one item must not end the sending of others
                log.exception("outbox.crashed", outbox=self._name)
                failed(item)
            finally:
                self._items.task_done()
