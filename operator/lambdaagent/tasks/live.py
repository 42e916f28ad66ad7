"""A task that somebody in this process is busy with: its newest record, one change at a time, and who waits for it.

Hazards: `record` is replaced only after the store has the change, so nobody sees what could still be lost. Another
replica may change the task too (an event reached it, a client cancelled there): then a write here conflicts, and is
decided anew on what the store has.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from lambdaagent.a2a import Json
from lambdaagent.a2a.states import TaskState
from lambdaagent.a2a.tasks import fold, state_of
from lambdaagent.store.errors import ConflictError
from lambdaagent.store.records import Change, Key, TaskRecord, TaskStore

_RECENT = 64
_ATTEMPTS = 8


class Outcome(StrEnum):
    ADVANCED = "advanced"
    DUPLICATE = "duplicate"
    ENDED = "ended"  # the task had ended before
    FOREIGN = "foreign"  # it came from an agent that the task is not with
    UNKNOWN = "unknown"  # there is no such task


class Live:
    __slots__ = ("_lock", "_recent", "_waiters", "holders", "record", "run")

    def __init__(self, record: TaskRecord) -> None:
        self.record = record
        self.holders = 0
        # What of this process works on the task, where something does.
        self.run: asyncio.Task[None] | None = None
        self._lock = asyncio.Lock()
        self._recent: deque[Change] = deque(maxlen=_RECENT)
        self._waiters: list[asyncio.Future[None]] = []

    async def apply(
        self,
        updates: Sequence[Json],
        *,
        store: TaskStore,
        now: float,
        key: Key | None = None,
        holder: str | None = None,
    ) -> Outcome:
        """Folds as many as the task still takes; `holder` changes whose it is. Raises StoreError: nothing happened."""
        async with self._lock:
            for attempt in range(_ATTEMPTS):
                record = self.record
                task, remote = record.task, record.remote
                applied = []
                for update in updates:
                    if state_of(task).terminal:
                        break
                    if "remote" in update:
                        remote = update["remote"]
                        continue
                    task = fold(task, update)
                    applied.append(update)
                if record.state.terminal:
                    return Outcome.ENDED
                after = replace(following(record, task, now=now), remote=remote)
                # What has settled is nobody's to work on.
                kept = "" if after.state.settled else after.holder if holder is None else holder
                if kept != after.holder:
                    after = replace(after, holder=kept)
                try:
                    if not await store.append(after, updates=applied, key=key):
                        return Outcome.DUPLICATE
                except ConflictError:
                    if attempt == _ATTEMPTS - 1 or not await self._reload(store):
                        raise
                    continue
                self._replace(after, Change(after.version, applied))
                return Outcome.ADVANCED
            raise AssertionError("the last attempt raises or returns")

    async def turn(
        self, task: Json, *, updates: Sequence[Json], store: TaskStore, now: float, holder: str, deadline: float
    ) -> None:
        """The client's next message is part of the log like everything else. The caller holds `turning`."""
        record = replace(following(self.record, task, now=now), holder=holder, deadline=deadline)
        try:
            await store.append(record, updates=updates)
        except ConflictError:
            await self._reload(store)
            raise
        self._replace(record, Change(record.version, updates))

    async def claim(self, *, store: TaskStore, now: float, holder: str) -> bool:
        """Makes a task that nobody works on `holder`'s; False where somebody does, or was faster."""
        async with self._lock:
            if self.record.holder or self.record.state.settled:
                return False
            record = replace(following(self.record, self.record.task, now=now), holder=holder)
            try:
                await store.append(record, updates=[])
            except ConflictError:
                await self._reload(store)
                return False
            self._replace(record, Change(record.version, []))
            return True

    async def refresh(self, store: TaskStore) -> None:
        """Looks whether another replica changed the task."""
        async with self._lock:
            await self._reload(store)

    async def settled(self) -> None:
        """Until the task has ended or waits for its client. Any number may wait; each may give up on its own."""
        while not self.record.state.settled:
            await self._next()

    async def beyond(self, version: int, *, within: float) -> None:
        """Until the task is past this version, or so many seconds are over."""
        if self.record.version > version:
            return
        try:
            async with asyncio.timeout(within):
                while self.record.version <= version:
                    await self._next()
        except TimeoutError:
            pass

    def since(self, version: int) -> list[Change] | None:
        """The changes after this version, where all of them are still here."""
        if version >= self.record.version:
            return []
        if not self._recent or self._recent[0].version > version + 1:
            return None
        return [change for change in self._recent if change.version > version]

    @property
    def turning(self) -> asyncio.Lock:
        return self._lock

    async def _next(self) -> None:
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            await waiter
        finally:
            if waiter in self._waiters:
                self._waiters.remove(waiter)

    async def _reload(self, store: TaskStore) -> bool:
        """False: the task is gone."""
        found = await store.get(self.record.id)
        if found is not None and found.version > self.record.version:
            self._recent.clear()
            self._replace(found, None)
        return found is not None

    def _replace(self, record: TaskRecord, change: Change | None) -> None:
        self.record = record
        if change is not None:
            self._recent.append(change)
        if self._waiters:
            waiters, self._waiters = self._waiters, []
            for waiter in waiters:
                if not waiter.done():
                    waiter.set_result(None)
        if record.state is TaskState.CANCELED and self.run is not None:
            # Closes the connection to the container, wherever the client asked for it.
            self.run.cancel()


def following(record: TaskRecord, task: Json, *, now: float) -> TaskRecord:
    return replace(record, version=record.version + 1, state=state_of(task), updated=now, task=task)


@dataclass(frozen=True, slots=True)
class Limits:
    running: int = 1_000  # container calls at once
    held: int = 10_000  # tasks under way, calls and those that go on without one
    waiting: int = 100  # of one agent with a limit of its own: how many more than it may be held
    retention: float = 7 * 86_400.0  # seconds for which ended tasks are kept
    kept: int | None = None  # ended tasks kept at most
    tidy_every: float = 300.0
    beat_every: float = 3.0  # seconds between signs of life of this replica
    lease: float = 10.0  # seconds without one after which its tasks are somebody else's
    look_every: float = 5.0  # how soon a follower sees what no notification told
