"""Remembers which events one agent received lately, so that a duplicate is not delivered again.

Only one consumer of an agent's queue works at a time (decision 0015), so this process knows its own deliveries from
memory, and reads those of others from the store once, when it takes over. A delivery is recorded when its outcome is
durable and just before the acknowledgement: if the process is killed in between, the event is delivered once more and
is not lost.
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
"""The number of events of one agent that are remembered in memory."""


@dataclass
class Deduplicator:
    store: DeliveryStore
    namespace: str
    agent: str
    clock: Clock
    _session: int = field(default=-1, init=False)
    _read: float = field(default=0.0, init=False)  # the time up to which others' deliveries are known
    _known: dict[bytes, None] = field(default_factory=dict, init=False)
    _open: dict[bytes, asyncio.Future[None]] = field(default_factory=dict, init=False)
    _reading: asyncio.Lock = field(default_factory=asyncio.Lock, init=False)

    @asynccontextmanager
    async def claim(self, delivery: BrokerDelivery) -> AsyncIterator[bool]:
        """Yield whether the event is to be delivered. False: it was delivered before.

        Of two simultaneous copies, the second waits for the outcome of the first. So does a redelivery whose first
        delivery still runs here, because only its channel broke.
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
        """Write the delivery to the store, durably. Raises StoreError."""
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
