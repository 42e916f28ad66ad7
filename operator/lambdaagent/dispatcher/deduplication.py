"""What was delivered to one agent lately, so that an event which comes again is not delivered again.

Only one consumer of an agent's queue works at a time (decision 0015), so what it delivered itself it knows from memory,
and what others delivered before it took over it reads from the store, once. An outcome is recorded when it is durable
and just before the acknowledgement: who dies in between has the event delivered once more, and nobody loses it.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from hashlib import blake2b

from lambdaagent.broker.protocol import BrokerDelivery
from lambdaagent.clock import Clock
from lambdaagent.store.records import DeliveryStore, Key

WINDOW = 3600.0
"""Seconds for which an event is remembered."""
_SKEW = 60.0
"""Seconds by which the clocks of two replicas may differ."""
_MOST = 2_000
"""Events remembered in memory, of one agent."""


@dataclass
class Deduplicator:
    store: DeliveryStore
    namespace: str
    agent: str
    clock: Clock
    _session: int = field(default=-1, init=False)
    _read: float = field(default=0.0, init=False)  # up to when others' deliveries are known
    _known: dict[bytes, None] = field(default_factory=dict, init=False)
    _open: dict[bytes, asyncio.Future[None]] = field(default_factory=dict, init=False)
    _reading: asyncio.Lock = field(default_factory=asyncio.Lock, init=False)

    @asynccontextmanager
    async def claim(self, delivery: BrokerDelivery) -> AsyncIterator[bool]:
        """False: it was delivered before. Of two copies at once, the second waits for what becomes of the first.

        So does a redelivery whose first delivery is still under way here, because only its channel broke.
        """
        if delivery.session != self._session:
            await self._look(delivery.session)
        digest = _digest((delivery.event.source, delivery.event.id))
        while (other := self._open.get(digest)) is not None:
            await asyncio.wait([other])
        if digest in self._known and not delivery.redriven:
            yield False
            return
        mine = self._open[digest] = asyncio.get_running_loop().create_future()
        try:
            yield True
        finally:
            del self._open[digest]
            mine.set_result(None)

    def remember(self, key: Key) -> None:
        self._known[_digest(key)] = None
        while len(self._known) > _MOST:
            del self._known[next(iter(self._known))]

    async def record(self, key: Key) -> None:
        """Durable when it returns. Raises StoreError."""
        await self.store.record_delivery(namespace=self.namespace, agent=self.agent, key=key, now=self.clock.now())

    async def _look(self, session: int) -> None:
        async with self._reading:
            if session == self._session:
                return
            now = self.clock.now()
            since = max(now - WINDOW, self._read - _SKEW)
            for key in reversed(await self.store.deliveries(self.namespace, self.agent, since=since, limit=_MOST)):
                self.remember(key)
            self._read, self._session = now, session


def _digest(key: Key) -> bytes:
    return blake2b("\0".join(key).encode("utf-8", "surrogatepass"), digest_size=16).digest()
