"""A task that somebody in this process is busy with: its newest record, one change at a time, and who waits for it."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from lambdaagent.a2a import Json
from lambdaagent.a2a.tasks import fold, state_of
from lambdaagent.store.records import Key, TaskRecord, TaskStore


class Outcome(StrEnum):
    ADVANCED = "advanced"
    DUPLICATE = "duplicate"
    ENDED = "ended"  # the task had ended before
    FOREIGN = "foreign"  # it came from an agent that the task is not with
    UNKNOWN = "unknown"  # there is no such task


class Live:
    """Hazard: `record` is replaced only after the store has the change; nobody sees what could still be lost."""

    __slots__ = ("_lock", "_waiters", "holders", "record")

    def __init__(self, record: TaskRecord) -> None:
        self.record = record
        self.holders = 0
        self._lock = asyncio.Lock()
        self._waiters: list[asyncio.Future[None]] = []

    async def apply(self, updates: Sequence[Json], *, store: TaskStore, now: float, key: Key | None = None) -> Outcome:
        """Folds as many as the task still takes. Raises StoreError: then nothing happened."""
        async with self._lock:
            task = self.record.task
            applied = []
            for update in updates:
                if state_of(task).terminal:
                    break
                task = fold(task, update)
                applied.append(update)
            if not applied:
                return Outcome.ENDED
            record = following(self.record, task, now=now)
            if not await store.append(record, updates=applied, key=key):
                return Outcome.DUPLICATE
            self._replace(record)
            return Outcome.ADVANCED

    async def turn(self, task: Json, *, message: Json, store: TaskStore, now: float) -> None:
        """The client's next message is part of the log like everything else."""
        record = following(self.record, task, now=now)
        await store.append(record, updates=[{"message": message}])
        self._replace(record)

    async def settled(self) -> None:
        """Until the task has ended or waits for its client. Any number may wait; each may give up on its own."""
        while not self.record.state.settled:
            waiter = asyncio.get_running_loop().create_future()
            self._waiters.append(waiter)
            try:
                await waiter
            finally:
                if waiter in self._waiters:
                    self._waiters.remove(waiter)

    @property
    def turning(self) -> asyncio.Lock:
        return self._lock

    def _replace(self, record: TaskRecord) -> None:
        self.record = record
        if record.state.settled:
            waiters, self._waiters = self._waiters, []
            for waiter in waiters:
                if not waiter.done():
                    waiter.set_result(None)


def following(record: TaskRecord, task: Json, *, now: float) -> TaskRecord:
    return replace(record, version=record.version + 1, state=state_of(task), updated=now, task=task)


@dataclass(frozen=True, slots=True)
class Limits:
    running: int = 1_000  # container calls at once
    held: int = 10_000  # tasks under way, calls and those that go on without one
    retention: float = 7 * 86_400.0  # seconds for which ended tasks are kept
    tidy_every: float = 300.0
