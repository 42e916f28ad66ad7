"""A call's slot in the limit of the whole process: held while it runs, released while it waits for a connection.

The limiter of calls puts a CallSlot into the context of each call (`HELD`). A call that waits for one busy agent must
not block calls to other agents.
"""

import asyncio
from contextvars import ContextVar


class CallSlot:
    def __init__(self, everybody: asyncio.Semaphore) -> None:
        self._everybody = everybody
        self._held = False

    async def take(self) -> None:
        if not self._held:
            await self._everybody.acquire()
            self._held = True

    def give_back(self) -> None:
        if self._held:
            self._held = False
            self._everybody.release()


HELD: ContextVar[CallSlot | None] = ContextVar("place", default=None)
