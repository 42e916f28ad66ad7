"""The registry of active tasks: one `ActiveTask` for each task that this process works on, and every change it makes.

A task stays in the registry while somebody holds it. Who releases it last removes it; the store keeps the rest.

Hazard: a task with two `ActiveTask`s is run by one that the registry does not find, so it looks lost. Code that awaits
anything before it holds a task gets it by `holding`.
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
from lambdaagent.store.errors import StoreError, TaskConflictError
from lambdaagent.store.records import Key, TaskRecord, TaskStore
from lambdaagent.tasks.active_task import ActiveTask, EventOutcome, Write
from lambdaagent.tasks.limits import LARGEST
from lambdaagent.tasks.push_sender import PushSender
from lambdaagent.tasks.storing import FOR_EVER, until_written

log = structlog.get_logger(__name__)
_MOST_UNSTARTED = 10_000


class TaskObserver(Protocol):
    """What the engine tells the metrics."""

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
        pusher: PushSender | None,
        on_state_change: Callable[[TaskRecord], None] | None = None,
        largest: int = LARGEST,
    ) -> None:
        """`on_state_change` hears of every new state of a task, after it is stored."""
        self._on_state_change = on_state_change
        self._largest = largest
        self.store = store
        self.clock = clock
        self.observer = observer
        self.open = False
        # From then on a task that was cut short is kept, for `stop` of the engine to fail.
        self.stopping = False
        self._pusher = pusher
        self._live: dict[str, ActiveTask] = {}
        self._looks: set[asyncio.Task[bool]] = set()
        # Messages that were given to the store without an answer and not to a container: version by task.
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
            active = self._live.get(task_id)  # Somebody else may have been faster.
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
        """Nothing of this process works on the task or is about to."""
        active = self._live.get(task_id)
        return active is None or active.idle

    def unstarted(self, record: TaskRecord) -> None:
        """Whether the store has this message is not known; if it has, no container was called for it."""
        while len(self._unstarted) >= _MOST_UNSTARTED:
            del self._unstarted[next(iter(self._unstarted))]
        self._unstarted[record.id] = record.version

    def is_unstarted(self, record: TaskRecord) -> bool:
        return self._unstarted.get(record.id) == record.version

    def started(self, task_id: str) -> None:
        self._unstarted.pop(task_id, None)

    async def settled(self, active: ActiveTask, *, look_every: float) -> None:
        """Until the task has ended or waits for its client; any number may wait. Raises TaskConflictError: it is gone.

        While this process runs it, every change passes here. Otherwise a notification may be lost, so the store is
        looked at now and then.
        """
        while not active.record.state.settled:
            version = active.record.version
            await active.beyond(version, within=None if active.run is not None else look_every)
            if active.record.version == version and active.run is None:
                try:
                    there = await active.refresh(self.store)
                except StoreError as error:
                    log.info("task.not_refreshed", reason=str(error))
                    continue
                if not there:
                    raise TaskConflictError(f"there is no task {active.record.id} any more")

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
        """Waits up to `patience` seconds for a store that is away, and calls `waits` first; for the others see `Write`.

        Raises StoreError.
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
        """As `fail`; an error is logged, because nobody waits for it."""
        try:
            await self.fail(active, text, patience=patience)
        except Exception:  # the store is away, or forgot the task; the next beat of a replica sees to the rest
            log.exception("task.abandoned", task=active.record.id)

    def changed_elsewhere(self, task_id: str) -> None:
        """Another replica may have changed it: whoever follows it here is to see that."""
        active = self._live.get(task_id)
        if active is not None and self.open:
            look = asyncio.ensure_future(active.refresh(self.store))
            self._looks.add(look)
            look.add_done_callback(self._looked)

    def _looked(self, look: "asyncio.Task[bool]") -> None:
        self._looks.discard(look)
        if not look.cancelled() and look.exception() is not None:
            log.warning("task.not_refreshed", reason=str(look.exception()))  # followers look again by themselves

    async def stop(self) -> None:
        await cancel(*self._looks)
