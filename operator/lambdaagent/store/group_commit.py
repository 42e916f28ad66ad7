"""Group commit: many callers, one writer, one transaction for all waiting operations.

A database has a cost per transaction, so the operations that arrive during one commit form the next batch. While
several arrive at once, a batch waits a moment for more, as with PostgreSQL's commit_delay, because most of a commit's
cost is the same for one row and for thirty. A single caller never waits. The queue is bounded: when it is full, callers
wait, which is the back-pressure.

Hazard: an operation that cannot be stored (nested too deep, invalid Unicode, too long for an index) must not fail the
other operations of its batch. What is not JSON is refused before it enters a batch; a batch that fails, except because
the store is unreachable, is halved until only the faulty operation is left. The bytes of a batch are bounded, because a
batch that exceeds a statement's time-out would be retried as a whole.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import structlog

from lambdaagent.a2a import Json
from lambdaagent.store.errors import SealedValueError, StoreError, UnfitError
from lambdaagent.store.records import DeadLetter, Key, Push, TaskRecord
from lambdaagent.store.rows import as_json
from lambdaagent.store.sealing import Sealing, tenant
from lambdaagent.store.snapshots import Snapshots

Op = TypeVar("Op")
Result = TypeVar("Result")
_MOST_BYTES = 16 * 1024 * 1024
"""Bytes at which a batch takes no further operation: a statement must end before its time-out."""
Write = Callable[[Sequence[Op]], Awaitable[Sequence[Result | StoreError]]]
"""Writes all operations in one transaction and returns an outcome for each; an error means that this one was left out.
"""
log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Waiting(Generic[Op, Result]):
    op: Op
    done: asyncio.Future[Result]


@dataclass(frozen=True, slots=True)
class Create:
    """`body` is the task as JSON, sealed where that is configured."""

    record: TaskRecord
    idempotency_key: str | None
    push: Push | None
    body: bytes

    @classmethod
    def of(cls, record: TaskRecord, *, idempotency_key: str | None, push: Push | None, sealing: Sealing) -> "Create":
        """Raises UnfitError if the task is not JSON, so that it never enters a batch."""
        return cls(record, idempotency_key, push, sealing.body(record.id, tenant(record), as_json(record.task)))


@dataclass(frozen=True, slots=True)
class Append:
    """`body` is the task as JSON, None where the snapshot does not change; `updates` is the new log entry. Both are
    sealed where that is configured.
    """

    record: TaskRecord
    key: Key | None
    body: bytes | None
    updates: bytes

    @classmethod
    def of(
        cls, record: TaskRecord, *, updates: Sequence[Json], key: Key | None, snapshots: Snapshots, sealing: Sealing
    ) -> "Append":
        """Raises UnfitError if the updates or the task are not JSON, so that they never enter a batch, and
        SealedValueError for a substitute of a task that could not be decrypted, which would replace it.
        """
        if record.unreadable:
            raise SealedValueError(record.unreadable)
        entry = sealing.entry(record.id, record.version, as_json(updates))
        enough = snapshots.has_enough(record, updates, added=len(entry))
        body = None if enough else sealing.body(record.id, tenant(record), as_json(record.task))
        return cls(record, key, body, entry)


@dataclass(frozen=True, slots=True)
class MarkDelivered:
    namespace: str
    agent: str
    key: Key
    now: float


def size_of(op: Create | Append | DeadLetter | MarkDelivered) -> int:
    """Return roughly how many bytes the operation adds to a transaction."""
    match op:
        case Create():
            return len(op.body)
        case Append():
            return len(op.body or b"") + len(op.updates)
        case DeadLetter():
            return len(op.data)
        case MarkDelivered():
            return 0


async def submit_append(commit: "GroupCommit[Any, Any]", op: Append, snapshots: Snapshots) -> bool:
    """Return whether the change was written, and update `snapshots`. Raises StoreError."""
    written = False
    try:
        written = await commit.submit(op) is True
    finally:
        if written:
            snapshots.wrote(op.record, size=None if op.body is None else len(op.body), added=len(op.updates))
        else:
            snapshots.forget(op.record.id)
    return written


class GroupCommit(Generic[Op, Result]):
    def __init__(
        self,
        write: Write[Op, Result],
        *,
        size: Callable[[Op], int] = lambda _: 0,
        queue: int = 4096,
        batch: int = 256,
        gather: float = 0.0005,
    ) -> None:
        self._write = write
        self._size = size
        self._gather = gather
        self._crowded = False  # the previous batch held more than one operation
        self._batch = batch
        self._queue: asyncio.Queue[_Waiting[Op, Result] | None] = asyncio.Queue(queue)
        self._closed = False
        self._task = asyncio.create_task(self._run(), name="store-writer")

    async def submit(self, op: Op) -> Result:
        if self._closed:
            raise StoreError("the store is closed")
        waiting: _Waiting[Op, Result] = _Waiting(op, asyncio.get_running_loop().create_future())
        if self._queue.full():
            await self._queue.put(waiting)
        else:
            self._queue.put_nowait(waiting)
        # What is in the queue is written even if its caller no longer waits.
        return await waiting.done

    async def close(self) -> None:
        """Write everything that was submitted before, then end."""
        if not self._closed:
            self._closed = True
            await self._queue.put(None)
        await self._task

    async def _run(self) -> None:
        running = True
        while running:
            batch: list[_Waiting[Op, Result]] = []
            size = 0
            first = await self._queue.get()
            running = first is not None
            if first is not None:
                batch.append(first)
                size = self._size(first.op)
                if self._crowded:
                    await asyncio.sleep(self._gather)
            while len(batch) < self._batch and size < _MOST_BYTES and not self._queue.empty():
                following = self._queue.get_nowait()
                if following is None:
                    running = False
                else:
                    batch.append(following)
                    size += self._size(following.op)
            self._crowded = len(batch) > 1
            if batch:
                await self._commit(batch)

    async def _commit(self, batch: Sequence[_Waiting[Op, Result]]) -> None:
        outcomes: Sequence[Result | StoreError]
        try:
            outcomes = await self._write([waiting.op for waiting in batch])
        except StoreError as error:
            if isinstance(error, UnfitError) and len(batch) > 1:
                await self._halve(batch)
                return
            outcomes = [error] * len(batch)
        except Exception as error:  # the writer's root: it must survive any failure of a write
            if len(batch) > 1:
                await self._halve(batch)
                return
            # A database error may contain the values themselves; an error of the serializer does not.
            why = f": {str(error)[:200]}" if isinstance(error, (TypeError, ValueError)) else ""
            log.warning("store.write_refused", error=f"{type(error).__name__}{why}")
            outcomes = [UnfitError(f"the store cannot store this value: {type(error).__name__}{why}")]
        self._answer(batch, outcomes)

    async def _halve(self, batch: Sequence[_Waiting[Op, Result]]) -> None:
        middle = len(batch) // 2
        await self._commit(batch[:middle])
        await self._commit(batch[middle:])

    def _answer(self, batch: Sequence[_Waiting[Op, Result]], outcomes: Sequence[Result | StoreError]) -> None:
        for waiting, outcome in zip(batch, outcomes, strict=True):
            if waiting.done.done():  # the caller was cancelled
                continue
            if isinstance(outcome, StoreError):
                waiting.done.set_exception(outcome)
            else:
                waiting.done.set_result(outcome)
