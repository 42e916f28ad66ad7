"""A task that this process works on: its newest record, its changes one at a time, and the callers that wait for one.

Hazards: `record` is replaced only after the store has the change, so no reader sees a change that may still be lost.
Another replica may change the task too, because it received an event or a client's cancellation; a write here then
conflicts and is decided again on the stored record. The answer to a write may be lost; the log then shows whether the
write was committed.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import orjson

from lambdaagent.a2a import Json
from lambdaagent.a2a.errors import A2AError
from lambdaagent.a2a.states import TaskState
from lambdaagent.a2a.tasks import OverfullError, state_of
from lambdaagent.store.chunked_record import grown
from lambdaagent.store.errors import StoreError, TaskConflictError, UnfitError
from lambdaagent.store.records import Key, TaskChange, TaskRecord, TaskStore
from lambdaagent.tasks.limits import LARGEST

_RECENT = 64
_ATTEMPTS = 8
_SHORT = 16 * 1024


class EventOutcome(StrEnum):
    ADVANCED = "advanced"
    DUPLICATE = "duplicate"
    ENDED = "ended"  # the task had already ended
    FOREIGN = "foreign"  # its agent or source may not change this task
    UNKNOWN = "unknown"  # the task does not exist
    TAKEN = "taken"  # another replica holds the task, or it has another version than expected


@dataclass(slots=True)
class Write:
    """One change of a task, which may take several attempts."""

    updates: Sequence[Json]
    key: Key | None = None
    holder: str | None = None  # the task's holder after the write; None: unchanged
    replica: str = ""  # write only if this replica or none holds the task; empty: in any case
    at: int | None = None  # write only onto this version of the task
    tried: TaskChange | None = None  # the attempt whose answer was lost


class ActiveTask:
    __slots__ = (
        "_largest",
        "_lock",
        "_recent",
        "_size",
        "_waiters",
        "holders",
        "record",
        "refusal",
        "run",
        "starting",
    )

    def __init__(self, record: TaskRecord, *, largest: int = LARGEST) -> None:
        self.record = record
        self.holders = 0
        # The asyncio task of this process that works on the task, if there is one.
        self.run: asyncio.Task[None] | None = None
        # The container's refusal of the newest message, if it refused it.
        self.refusal: A2AError | None = None
        # Number of callers in this process that are about to start a run.
        self.starting = 0
        self._lock = asyncio.Lock()
        # Size of the task as JSON in bytes, or slightly more; None: unknown.
        self._size: int | None = None
        self._largest = largest
        self._recent: deque[TaskChange] = deque(maxlen=_RECENT)
        self._waiters: list[asyncio.Future[None]] = []

    @property
    def idle(self) -> bool:
        """Whether nothing in this process works on the task or is about to start."""
        return self.run is None and not self.starting

    async def apply(self, write: Write, *, store: TaskStore, now: float) -> EventOutcome:
        """Fold `write.updates` into the task, up to the one that ends it, and append them to the store.

        Raises StoreError. Unless it is a TaskConflictError or UnfitError, the caller may repeat `write` to find out
        whether it was committed.
        """
        async with self._lock:
            for attempt in range(_ATTEMPTS):
                record = self.record
                if write.tried is not None and record.version >= write.tried.version:
                    if await self._was_written(write, write.tried, store):
                        return EventOutcome.ADVANCED
                    write.tried = None
                if record.state.terminal:
                    return EventOutcome.ENDED
                if _is_elsewhere(record, write):
                    return EventOutcome.TAKEN
                after, applied = _after(record, write, now=now)
                size = self._require_room(after, applied)
                try:
                    if await store.append(after, updates=applied, key=write.key):
                        self._replace(after, TaskChange(after.version, applied))
                        self._size = size
                        return EventOutcome.ADVANCED
                    if write.tried is None:
                        return EventOutcome.DUPLICATE
                    await self._reload(store)
                    return EventOutcome.ADVANCED
                except TaskConflictError:
                    if attempt == _ATTEMPTS - 1 or not await self._reload(store):
                        raise
                except UnfitError:
                    raise
                except StoreError:
                    write.tried = TaskChange(after.version, applied)
                    raise
            raise AssertionError("the last attempt raises or returns")

    async def put(
        self, record: TaskRecord, *, updates: Sequence[Json], store: TaskStore, key: Key | None = None
    ) -> bool:
        """Append the task's next version as given; the caller holds `turning`. False: a write with this key exists.

        Raises StoreError; after a TaskConflictError, `record` is the stored one.
        """
        size = self._require_room(record, updates) if updates else None
        try:
            if not await store.append(record, updates=updates, key=key):
                await self._reload(store)
                return False
        except TaskConflictError:
            await self._reload(store)
            raise
        self._replace(record, TaskChange(record.version, updates))
        self._size = size
        return True

    async def claim(self, *, store: TaskStore, now: float, holder: str, without: Sequence[str] = ()) -> bool:
        """Make `holder` the holder of a task that has none. False: it has settled, has a holder, or was claimed first.

        A task that `holder` holds without a run counts as claimed: the answer to the claim was lost. `without`: ids of
        artifacts that an earlier attempt left unfinished.
        """
        async with self._lock:
            record = self.record
            if record.state.settled:
                return False
            if record.holder:
                return record.holder == holder and self.idle
            claimed = replace(following(record, without_artifacts(record.task, without), now=now), holder=holder)
            try:
                return await self.put(claimed, updates=[], store=store)
            except TaskConflictError:
                return False

    async def refresh(self, store: TaskStore) -> bool:
        """Read the task from the store, in case another replica changed it. False: the store does not have the task."""
        async with self._lock:
            return await self._reload(store)

    async def beyond(self, version: int, *, within: float | None = None) -> None:
        """Wait until the task's version exceeds `version`, its run has ended, or `within` seconds have passed."""
        if self.record.version > version:
            return
        loop = asyncio.get_running_loop()
        waiter = loop.create_future()
        self._waiters.append(waiter)
        timer = loop.call_later(within, _wake, waiter) if within is not None else None
        try:
            await waiter
        finally:
            if timer is not None:
                timer.cancel()
            if waiter in self._waiters:
                self._waiters.remove(waiter)

    def since(self, version: int) -> list[TaskChange] | None:
        """Return the changes after this version; None if some of them are no longer in memory."""
        if version >= self.record.version:
            return []
        if not self._recent or self._recent[0].version > version + 1:
            return None
        return [change for change in self._recent if change.version > version]

    @property
    def turning(self) -> asyncio.Lock:
        return self._lock

    def ended(self, run: "asyncio.Task[None]") -> None:
        """Clear the run and wake the waiters, which must then read the store, unless another run has begun."""
        if self.run is run:
            self.run = None
            self._wake_all()

    def _require_room(self, after: TaskRecord, updates: Sequence[Json]) -> int:
        """Return the size in bytes of the task with these updates. Raises UnfitError if it exceeds the limit.

        A larger task could not be shown in good time. A short update that ends the task is always accepted, so that a
        task can fail because of its size.
        """
        if self._size is None:
            self._size = size_of(self.record.task)
        added = size_of(updates)
        if self._size + added > self._largest and not (after.state.terminal and added <= _SHORT):
            raise UnfitError(f"the task would be larger than {self._largest} bytes")
        return self._size + added

    async def _reload(self, store: TaskStore) -> bool:
        """Read the record from the store. False: the task no longer exists."""
        found = await store.get(self.record.id, known=self.record)
        if found is not None and found.version > self.record.version:
            self._recent.clear()
            self._size = None
            self._replace(found, None)
        return found is not None

    async def _was_written(self, write: Write, tried: TaskChange, store: TaskStore) -> bool:
        if not tried.updates:
            return write.holder is None or self.record.holder == write.holder
        log = await store.changes(self.record.id, after=tried.version - 1)
        return bool(log) and log[0].version == tried.version and _same(log[0].updates, tried.updates)

    def _replace(self, record: TaskRecord, change: TaskChange | None) -> None:
        before, self.record = self.record, record
        if change is not None:
            self._recent.append(change)
        self._wake_all()
        if self.run is None or self.run is asyncio.current_task():
            return
        moved = bool(before.holder) and record.holder not in ("", before.holder)
        failed = change is None and record.state is TaskState.FAILED
        if record.state is TaskState.CANCELED or moved or failed:
            # Closes the connection to the container, whichever replica ended the task or took it over.
            self.run.cancel()

    def _wake_all(self) -> None:
        if self._waiters:
            waiters, self._waiters = self._waiters, []
            for waiter in waiters:
                _wake(waiter)


def following(record: TaskRecord, task: Json, *, now: float) -> TaskRecord:
    return replace(record, version=record.version + 1, state=state_of(task), updated=now, task=task)


def without_artifacts(task: Json, ids: Sequence[str]) -> Json:
    """Return the task without these artifacts, which another attempt produces again."""
    if not ids or "artifacts" not in task:
        return task
    left = [each for each in task["artifacts"] if each["artifactId"] not in ids]
    kept = {key: value for key, value in task.items() if key != "artifacts"}
    return {**kept, "artifacts": left} if left else kept


def _after(record: TaskRecord, write: Write, *, now: float) -> tuple[TaskRecord, list[Json]]:
    remote, state, applied = record.remote, record.state, []
    for update in write.updates:
        if state.terminal:
            break
        if "remote" in update:
            remote = update["remote"]
            continue
        applied.append(update)
        if "statusUpdate" in update:
            state = state_of(update["statusUpdate"])
    # A settled task has no holder.
    holder = "" if state.settled else record.holder if write.holder is None else write.holder
    columns = {"version": record.version + 1, "state": state, "updated": now, "remote": remote, "holder": holder}
    try:
        return grown(record, applied, **columns), applied
    except OverfullError as error:
        raise UnfitError(str(error)) from None


def size_of(value: object) -> int:
    """Return the size of the value as JSON in bytes. Raises UnfitError if it has no JSON form."""
    try:
        return len(orjson.dumps(value))
    except TypeError as error:
        raise UnfitError(str(error)[:200]) from None


def _is_elsewhere(record: TaskRecord, write: Write) -> bool:
    moved = write.at is not None and record.version != write.at
    return moved or bool(write.replica and record.holder not in ("", write.replica))


def _same(stored: Sequence[Json], wanted: Sequence[Json]) -> bool:
    return bool(list(stored) == orjson.loads(orjson.dumps(list(wanted))))


def _wake(waiter: "asyncio.Future[None]") -> None:
    if not waiter.done():
        waiter.set_result(None)
