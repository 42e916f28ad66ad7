"""What a caller holds of the whole process while its call runs, and gives back while it waits for a connection.

Whoever bounds the calls of a process puts a Place into the context of each. A call that waits for one busy agent must
not keep those to other agents from running.
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
