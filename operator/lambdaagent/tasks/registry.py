"""The registry of active tasks: one `ActiveTask` for each task that this process works on, and every change it makes.

A task stays in the registry while it is held. The last caller of `drop` removes it; the store has all tasks.

Hazard: if a task has two `ActiveTask`s, its run may belong to the one that the registry does not find, and the task
looks lost. Code that awaits anything before it holds a task must get it by `holding`.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Protocol

import structlog

from lambdaagent.a2a import Json
from lambdaagent.a2a.states import TaskState
from lambdaagent.cancellation import cancel
from lambdaagent.clock import Clock
from lambdaagent.containers import responses
from lambdaagent.store.errors import SealedValueError, StoreError, TaskConflictError
from lambdaagent.store.records import Key, TaskRecord, TaskStore
from lambdaagent.tasks.active_task import ActiveTask, EventOutcome, Write
from lambdaagent.tasks.limits import LARGEST
from lambdaagent.tasks.push_delivery import PushDelivery
from lambdaagent.tasks.storing import FOR_EVER, until_written

log = structlog.get_logger(__name__)
_MOST_UNSTARTED = 10_000


class TaskObserver(Protocol):
    """The interface by which the engine reports to the metrics."""

    def settled(self, state: TaskState) -> None: ...
    def event(self, outcome: EventOutcome) -> None: ...
    def crashed(self) -> None: ...


class ActiveTasks:
    def __init__(
        self,
        *,
        store: TaskStore,
        clock: Clock,
        observer: TaskObserver,
        pusher: PushDelivery | None,
        on_state_change: Callable[[TaskRecord], None] | None = None,
        largest: int = LARGEST,
    ) -> None:
        """`on_state_change` is called with a task in each new state, after the state is stored."""
        self._on_state_change = on_state_change
        self._largest = largest
        self.store = store
        self.clock = clock
        self.observer = observer
        self.open = False
        # While this is true, an interrupted task stays in the registry, so that the engine's `stop` can fail it.
        self.stopping = False
        self._pusher = pusher
        self._live: dict[str, ActiveTask] = {}
        self._looks: set[asyncio.Task[bool]] = set()
        # Messages that were sent to the store without an answer and to no container: version by task id.
        self._unstarted: dict[str, int] = {}

    def new(self, record: TaskRecord) -> ActiveTask:
        return ActiveTask(record, largest=self._largest)

    def known(self, task_id: str) -> ActiveTask | None:
        return self._live.get(task_id)

    def all(self) -> list[ActiveTask]:
        return list(self._live.values())

    def hold(self, active: ActiveTask) -> None:
        self._live[active.record.id] = active
        active.holders += 1

    def drop(self, active: ActiveTask) -> None:
        active.holders -= 1
        if not active.holders and (active.record.state.settled or not self.stopping):
            self.forget(active)

    def forget(self, active: ActiveTask) -> None:
        if self._live.get(active.record.id) is active:
            del self._live[active.record.id]

    async def find(self, task_id: str) -> ActiveTask | None:
        active = self._live.get(task_id)
        if active is None:
            record = await self.store.get(task_id)
            active = self._live.get(task_id)  # Another caller may have added it meanwhile.
            if active is None and record is not None:
                active = self._live[task_id] = self.new(record)
        return active

    @asynccontextmanager
    async def holding(self, task_id: str) -> AsyncIterator[ActiveTask | None]:
        active = await self.find(task_id)
        if active is None:
            yield None
            return
        self.hold(active)
        try:
            yield active
        finally:
            self.drop(active)

    def idle(self, task_id: str) -> bool:
        """Whether nothing in this process works on the task or is about to start."""
        active = self._live.get(task_id)
        return active is None or active.idle

    def unstarted(self, record: TaskRecord) -> None:
        """Note a message that the store may or may not have; if it has, no container was called for it."""
        while len(self._unstarted) >= _MOST_UNSTARTED:
            del self._unstarted[next(iter(self._unstarted))]
        self._unstarted[record.id] = record.version

    def is_unstarted(self, record: TaskRecord) -> bool:
        return self._unstarted.get(record.id) == record.version

    def started(self, task_id: str) -> None:
        self._unstarted.pop(task_id, None)

    async def settled(self, active: ActiveTask, *, look_every: float) -> None:
        """Wait until the task has ended or waits for its client. Raises TaskConflictError if the task no longer exists,
        and SealedValueError if another replica wrote it with a key that this one does not have.

        Several callers may wait. While this process runs the task, it makes every change. Otherwise a notification may
        be lost, so the store is read every `look_every` seconds.
        """
        while not active.record.state.settled:
            version = active.record.version
            await active.beyond(version, within=None if active.run is not None else look_every)
            if active.record.version == version and active.run is None:
                try:
                    there = await active.refresh(self.store)
                except SealedValueError:
                    raise
                except StoreError as error:
                    log.info("task.refresh_failed", error=str(error))
                    continue
                if not there:
                    raise TaskConflictError(f"task {active.record.id} no longer exists")

    async def apply(
        self,
        active: ActiveTask,
        updates: Sequence[Json],
        *,
        key: Key | None = None,
        holder: str | None = None,
        replica: str = "",
        at: int | None = None,
        patience: float = 0.0,
        waits: Callable[[], None] | None = None,
    ) -> EventOutcome:
        """Apply updates, waiting up to `patience` seconds while the store is unreachable. Raises StoreError.

        `waits` is called once, before the first wait; the other parameters are those of `Write`.
        """
        before = active.record.state
        write = Write(updates, key=key, holder=holder, replica=replica, at=at)
        outcome = await until_written(
            lambda: active.apply(write, store=self.store, now=self.clock.now()), patience=patience, waits=waits
        )
        if active.record.state is not before and outcome is EventOutcome.ADVANCED:
            self.tell(active.record)
        if outcome is EventOutcome.ADVANCED and updates:
            if self._pusher is not None:
                self._pusher.wake()
            if active.record.state.settled:
                self.observer.settled(active.record.state)
        return outcome

    def tell(self, record: TaskRecord) -> None:
        if self._on_state_change is not None:
            self._on_state_change(record)

    async def fail(
        self, active: ActiveTask, text: str, *, replica: str = "", at: int | None = None, patience: float = FOR_EVER
    ) -> EventOutcome:
        failure = [responses.failed(text, clock=self.clock)]
        return await self.apply(active, failure, replica=replica, at=at, patience=patience)

    async def abandon(self, active: ActiveTask, text: str, *, patience: float = FOR_EVER) -> None:
        """Fail the task, but log an error instead of raising it, because no caller handles it."""
        try:
            await self.fail(active, text, patience=patience)
        except Exception:  # the store is unreachable or lacks the task; recovery handles the rest
            log.exception("task.abandoned", task=active.record.id)

    def changed_elsewhere(self, task_id: str) -> None:
        """Read the task again for its followers here, because another replica may have changed it."""
        active = self._live.get(task_id)
        if active is not None and self.open:
            look = asyncio.ensure_future(active.refresh(self.store))
            self._looks.add(look)
            look.add_done_callback(self._looked)

    def _looked(self, look: "asyncio.Task[bool]") -> None:
        self._looks.discard(look)
        if not look.cancelled() and look.exception() is not None:
            log.warning("task.refresh_failed", error=str(look.exception()))  # followers read the store at intervals

    async def stop(self) -> None:
        await cancel(*self._looks)
