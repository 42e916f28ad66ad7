"""Group commit: many callers, one writer, one transaction for all that wait.

A database pays per transaction, so the requests that arrive while one is committed become the next. While several
come at once, a batch waits a moment for more, as PostgreSQL's commit_delay does: most of a commit's cost is the same
for one row and for thirty. A caller that is alone never waits. The queue is bounded: past it callers wait, and that is
the back-pressure.

Hazard: one write that cannot be kept (nested too deep, no Unicode, too long for an index) must not fail the batch that
it happens to be in. A batch that fails, unless because the store is away, is halved until only the culprit is left.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import structlog

from lambdaagent.a2a import Json
from lambdaagent.store.errors import StoreError, UnfitError
from lambdaagent.store.records import Key, Push, TaskRecord

Op = TypeVar("Op")
Result = TypeVar("Result")
Write = Callable[[Sequence[Op]], Awaitable[Sequence[Result | StoreError]]]
"""Writes all in one transaction; one outcome for each, an error meaning that this one was left out."""
log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Waiting(Generic[Op, Result]):
    op: Op
    done: asyncio.Future[Result]


@dataclass(frozen=True, slots=True)
class Create:
    record: TaskRecord
    once: str | None
    push: Push | None = None


@dataclass(frozen=True, slots=True)
class Append:
    record: TaskRecord
    updates: Sequence[Json]
    key: Key | None


@dataclass(frozen=True, slots=True)
class Delivered:
    namespace: str
    agent: str
    key: Key
    now: float


class GroupCommit(Generic[Op, Result]):
    def __init__(
        self, write: Write[Op, Result], *, queue: int = 4096, batch: int = 256, gather: float = 0.0005
    ) -> None:
        self._write = write
        self._gather = gather
        self._crowded = False  # the batch before this one had company
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
        # What is in the queue is written whether or not its caller still waits.
        return await waiting.done

    async def close(self) -> None:
        """Everything submitted before is written first."""
        if not self._closed:
            self._closed = True
            await self._queue.put(None)
        await self._task

    async def _run(self) -> None:
        running = True
        while running:
            batch: list[_Waiting[Op, Result]] = []
            first = await self._queue.get()
            running = first is not None
            if first is not None:
                batch.append(first)
                if self._crowded:
                    await asyncio.sleep(self._gather)
            while len(batch) < self._batch and not self._queue.empty():
                following = self._queue.get_nowait()
                if following is None:
                    running = False
                else:
                    batch.append(following)
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
        except Exception as error:  # the writer's root: it must outlive whatever a write holds
            if len(batch) > 1:
                await self._halve(batch)
                return
            # A database's own error may hold the values themselves; those of the serializer do not.
            why = f": {str(error)[:200]}" if isinstance(error, (TypeError, ValueError)) else ""
            log.warning("store.write_refused", error=type(error).__name__, reason=why)
            outcomes = [UnfitError(f"the store cannot keep this: {type(error).__name__}{why}")]
        self._answer(batch, outcomes)

    async def _halve(self, batch: Sequence[_Waiting[Op, Result]]) -> None:
        middle = len(batch) // 2
        await self._commit(batch[:middle])
        await self._commit(batch[middle:])

    def _answer(self, batch: Sequence[_Waiting[Op, Result]], outcomes: Sequence[Result | StoreError]) -> None:
        for waiting, outcome in zip(batch, outcomes, strict=True):
            if waiting.done.done():  # cancelled
                continue
            if isinstance(outcome, StoreError):
                waiting.done.set_exception(outcome)
            else:
                waiting.done.set_result(outcome)
