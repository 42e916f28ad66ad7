"""How many tasks an agent works on for one caller at once (`spec.a2a.limits.concurrentTasks`).

Invariant: in one process, a caller never has more than the limit, however many messages it sends at once. Over replicas
that share a store, it may exceed the limit by one task for each further replica.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from weakref import WeakValueDictionary

from lambdaagent.containers.callee import Callee
from lambdaagent.store.records import TaskStore
from lambdaagent.tasks.errors import EngineBusyError


class Quotas:
    def __init__(self, store: TaskStore) -> None:
        self._store = store
        self._locks: WeakValueDictionary[tuple[str, str, str], asyncio.Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def room(self, callee: Callee, owner: str) -> AsyncIterator[None]:
        """Hold the caller's turn to begin a task. Raises EngineBusyError if it has as many as it may have."""
        most = callee.running_of_one
        if most is None:
            yield
            return
        key = (callee.namespace, callee.name, owner)
        lock = self._locks.get(key)
        if lock is None:
            lock = self._locks[key] = asyncio.Lock()
        async with lock:
            if await self._store.working(*key, most=most) >= most:
                text = f"{callee.key} works on {most} tasks of this caller, its limit"
                raise EngineBusyError(f"{text}; send the message again when one has ended")
            yield
