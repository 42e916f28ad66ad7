"""Spares an agent that is broken, and this process the waiting for it: then one call at a time, with pauses between.

Broken means that so many calls in a row got no answer or a 5xx. What waits here is neither tried nor counted as tried,
so its attempts are there when the agent is. The first call that works lets everybody in again.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from lambdaagent.backoff import Backoff


@dataclass
class Circuit:
    failures: int = 5
    """In a row, after which it opens."""
    pause: Backoff = field(default_factory=lambda: Backoff(first=0.5, cap=10.0))
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    _failed: int = field(default=0, init=False)
    _one: asyncio.Lock = field(default_factory=asyncio.Lock, init=False)

    @property
    def open(self) -> bool:
        return self._failed >= self.failures

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Held during a call, which then says `worked` or `failed`."""
        while self.open:
            async with self._one:
                if self.open:
                    await self.sleep(self.pause.delay(self._failed - self.failures + 1))
                    yield
                    return
        yield

    def worked(self) -> None:
        self._failed = 0

    def failed(self) -> None:
        self._failed += 1
