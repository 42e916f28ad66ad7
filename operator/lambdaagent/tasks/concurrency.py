"""How many calls run at once: in this process, and of each agent with a limit of its own.

A call acquires its agent's slot first, so that a call that waits for its agent holds no slot of the process. For the
same reason a call that waits for a connection releases its process slot meanwhile (`httpclient/call_slots.py`).
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from lambdaagent.containers.callee import Callee
from lambdaagent.httpclient.call_slots import HELD, CallSlot
from lambdaagent.tasks.limits import EngineLimits


@dataclass(slots=True)
class AgentSlots:
    """The slots of one agent in this process; `held` counts running and waiting calls."""

    limit: int
    held: int = 0
    free: asyncio.Semaphore = field(init=False)

    def __post_init__(self) -> None:
        self.free = asyncio.Semaphore(self.limit)

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
    async def turn(self, callee: Callee) -> AsyncIterator[float]:
        """Hold the agent's and the process's slot during a call; yields the seconds that the call waited for them."""
        own, began = self.of(callee), time.monotonic()
        if own is None:
            place = await self._place()
        else:
            own.held += 1
            try:
                await own.free.acquire()
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
