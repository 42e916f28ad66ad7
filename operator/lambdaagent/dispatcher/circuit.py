"""A circuit breaker for an agent: while it is open, one call at a time is made, with pauses in between.

It opens after several calls in a row without a response or with a 5xx. A delivery that waits here has made no attempt,
so all its attempts are left when the agent recovers. The first call that succeeds closes the circuit.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from lambdaagent.backoff import Backoff


@dataclass
class Circuit:
    failures: int = 5
    """Consecutive failures after which the circuit opens."""
    pause: Backoff = field(default_factory=lambda: Backoff(first=0.5, cap=10.0))
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    _failed: int = field(default=0, init=False)
    _one: asyncio.Lock = field(default_factory=asyncio.Lock, init=False)

    @property
    def open(self) -> bool:
        return self._failed >= self.failures

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Hold during a call; the caller then reports `worked` or `failed`."""
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
