"""How many calls run at once: in this process, and of each agent with a limit of its own.

A call acquires its agent's slot first, so that a call that waits for its agent holds no slot of the process. For the
same reason a call that waits for a connection releases its process slot meanwhile (`httpclient/call_slots.py`).
"""

import asyncio
import heapq
import itertools
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from lambdaagent.containers.callee import Callee
from lambdaagent.httpclient.call_slots import HELD, CallSlot
from lambdaagent.tasks.limits import EngineLimits
from lambdaagent.tasks.requests import USUAL


class PrioritySemaphore:
    """A semaphore whose waiters are let in by priority, the highest first; of equals in the order of their arrival."""

    def __init__(self, value: int) -> None:
        self._value = value
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []  # a heap
        self._numbers = itertools.count()

    async def acquire(self, priority: int) -> None:
        if self._value > 0:
            self._value -= 1
            return
        waiter = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (-priority, next(self._numbers), waiter))
        try:
            await waiter
        except asyncio.CancelledError:
            if not waiter.cancelled():
                self.release()  # it was let in, and cancelled before it noticed
            else:
                self._waiting = [each for each in self._waiting if each[2] is not waiter]
                heapq.heapify(self._waiting)
            raise

    def locked(self) -> bool:
        return self._value == 0

    def release(self) -> None:
        while self._waiting:
            _, _, waiter = heapq.heappop(self._waiting)
            if not waiter.done():
                waiter.set_result(None)
                return
        self._value += 1


@dataclass(slots=True)
class AgentSlots:
    """The slots of one agent in this process; `held` counts running and waiting calls."""

    limit: int
    held: int = 0
    free: PrioritySemaphore = field(init=False)

    def __post_init__(self) -> None:
        self.free = PrioritySemaphore(self.limit)

    def leave(self) -> None:
        self.held -= 1
        self.free.release()


class CallLimiter:
    def __init__(self, limits: EngineLimits) -> None:
        self._everybody = asyncio.Semaphore(limits.running)
        self._own: dict[tuple[str, str], AgentSlots] = {}

    @property
    def full(self) -> bool:
        return self._everybody.locked()

    def of(self, callee: Callee) -> AgentSlots | None:
        if callee.running is None:
            return None
        key = callee.namespace, callee.name
        own = self._own.get(key)
        if own is None or own.limit != callee.running:
            own = self._own[key] = AgentSlots(callee.running)
        return own

    @asynccontextmanager
    async def turn(self, callee: Callee, *, priority: int = USUAL) -> AsyncIterator[float]:
        """Hold the agent's and the process's slot during a call; yields the seconds that the call waited for them.

        Calls wait for their agent's slot by priority, so that one of low priority may wait until its task's timeout.
        """
        own, began = self.of(callee), time.monotonic()
        if own is None:
            place = await self._place()
        else:
            own.held += 1
            try:
                await own.free.acquire(priority)
            except BaseException:
                own.held -= 1
                raise
            try:
                place = await self._place()
            except BaseException:
                own.leave()
                raise
        before = HELD.set(place)
        try:
            yield time.monotonic() - began
        finally:
            HELD.reset(before)
            place.give_back()
            if own is not None:
                own.leave()

    def too_late(self, callee: Callee, *, seconds: float, waits: bool) -> str:
        """Return why a task did not end within its timeout; `waits`: its call has not begun."""
        if not waits:
            return f"The agent did not finish the task in {seconds:g} s."
        if callee.running is None:
            return f"The gateway's limit of simultaneous calls was reached for the task's timeout of {seconds:g} s."
        return (
            f"The agent {callee.key} works on {callee.running} tasks at once (spec.a2a.maxConcurrentTasks), and"
            f" this task could not begin within its timeout of {seconds:g} s."
        )

    async def _place(self) -> CallSlot:
        place = CallSlot(self._everybody)
        await place.take()
        return place
