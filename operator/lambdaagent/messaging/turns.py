"""Deliveries that wait in memory for a worker, and whose turn is next.

Invariant: a receiver has so many workers at once and no more, and so have all receivers of one owner together, so that
slow ones keep no worker from the others. What finds no room here stays in the database, where the sweep takes it later.
"""

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from lambdaagent import shares
from lambdaagent.coordination.deliveries import Delivery
from lambdaagent.shares import less


@dataclass(slots=True, kw_only=True)
class Turns:
    workers: int  # of all owners together
    of_receiver: int  # workers
    most: int = 1_000  # deliveries that wait
    most_of_receiver: int = 100  # of these
    _waiting: dict[str, dict[str, deque[Delivery]]] = field(default_factory=dict, init=False)
    _number: Counter[str] = field(default_factory=Counter, init=False)  # of an owner, of those that wait
    _refused: set[str] = field(default_factory=set, init=False)
    _served: Counter[str] = field(default_factory=Counter, init=False)  # workers of a receiver
    _of_owner: Counter[str] = field(default_factory=Counter, init=False)  # workers of an owner
    _free: "deque[asyncio.Future[None]]" = field(default_factory=deque, init=False)  # workers that have nothing to do

    @property
    def room(self) -> int:
        return self.most - self._number.total()

    def full(self) -> set[str]:
        """Return the receivers of which no more need to be fetched from the database now."""
        waiting = {each for of_owner in self._waiting.values() for each, some in of_owner.items() if len(some) > 1}
        busy = {each for each, number in self._served.items() if number >= self.of_receiver}
        refused, self._refused = self._refused, set()
        return waiting | busy | refused

    def add(self, delivery: Delivery, *, owner: str) -> None:
        waiting = self._waiting.get(owner, {}).get(delivery.receiver, ())
        room = shares.room(self._number, most=self.most)
        if not room.limit or owner in room.without or len(waiting) >= self.most_of_receiver:
            self._refused.add(delivery.receiver)
            return
        self._waiting.setdefault(owner, {}).setdefault(delivery.receiver, deque()).append(delivery)
        self._number[owner] += 1
        self._wake()

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[Delivery]:
        """Wait for the next delivery whose turn it is, and have its place for the time of the context."""
        while (found := self._next()) is None:
            free = asyncio.get_running_loop().create_future()
            self._free.append(free)
            await free
        delivery, owner = found
        self._wake()
        try:
            yield delivery
        finally:
            less(self._served, delivery.receiver)
            less(self._of_owner, owner)

    def _wake(self) -> None:
        """Let one more worker look, if there is something to look for."""
        while self._number and self._free:
            free = self._free.popleft()
            if not free.done():
                free.set_result(None)
                return

    def _next(self) -> tuple[Delivery, str] | None:
        """Take turns among owners, and among the receivers of each."""
        busy = shares.room(self._of_owner, most=self.workers).without if self._number else frozenset()
        for owner, of_owner in self._waiting.items():
            if owner in busy:
                continue
            for receiver, some in of_owner.items():
                if self._served[receiver] >= self.of_receiver:
                    continue
                delivery = some.popleft()
                del of_owner[receiver]
                if some:
                    of_owner[receiver] = some  # behind the others
                del self._waiting[owner]
                if of_owner:
                    self._waiting[owner] = of_owner
                less(self._number, owner)
                self._served[receiver] += 1
                self._of_owner[owner] += 1
                return delivery, owner
        return None
