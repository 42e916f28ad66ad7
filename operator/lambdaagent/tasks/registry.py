"""The tasks that this process is busy with, one Live each however many want it, and every change that it makes.

Whoever holds a Live keeps it here; the last one to let go forgets it, for what matters is in the store.

Hazard: a task with two Lives is run by one that is not found here, and so looks like lost. Whoever wants one, and will
wait for anything before it is held, gets it by `holding`.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Protocol

import structlog

from lambdaagent.a2a import Json
from lambdaagent.a2a.states import TaskState
from lambdaagent.clock import Clock
from lambdaagent.containers import responses
from lambdaagent.store.errors import ConflictError, StoreError
from lambdaagent.store.records import Key, TaskRecord, TaskStore
from lambdaagent.tasks.active_task import LARGEST, Live, Outcome, Write
from lambdaagent.tasks.push_sender import Pusher
from lambdaagent.tasks.storing import FOR_EVER, until_written

log = structlog.get_logger(__name__)
_MOST_UNSTARTED = 10_000


class Observer(Protocol):
    """What the engine tells the metrics."""

    def settled(self, state: TaskState) -> None: ...
    def event(self, outcome: Outcome) -> None: ...
    def crashed(self) -> None: ...


class Lives:
    def __init__(
        self,
        *,
        store: TaskStore,
        clock: Clock,
        observer: Observer,
        pusher: Pusher | None,
        told: Callable[[TaskRecord], None] | None = None,
        largest: int = LARGEST,
    ) -> None:
        """`told` hears of every new state of a task, after it is stored."""
        self._told = told
        self._largest = largest
        self.store = store
        self.clock = clock
        self.observer = observer
        self.open = False
        # From then on a task that was cut short is kept, for `stop` of the engine to fail.
        self.stopping = False
        self._pusher = pusher
        self._live: dict[str, Live] = {}
        self._looks: set[asyncio.Task[bool]] = set()
        # Messages that were given to the store without an answer and not to a container: version by task.
        self._unstarted: dict[str, int] = {}

    def new(self, record: TaskRecord) -> Live:
        return Live(record, largest=self._largest)

    def known(self, task_id: str) -> Live | None:
        return self._live.get(task_id)

    def all(self) -> list[Live]:
        return list(self._live.values())

    def hold(self, live: Live) -> None:
        self._live[live.record.id] = live
        live.holders += 1

    def drop(self, live: Live) -> None:
        live.holders -= 1
        if not live.holders and (live.record.state.settled or not self.stopping):
            self.forget(live)

    def forget(self, live: Live) -> None:
        if self._live.get(live.record.id) is live:
            del self._live[live.record.id]

    async def find(self, task_id: str) -> Live | None:
        live = self._live.get(task_id)
        if live is None:
            record = await self.store.get(task_id)
            live = self._live.get(task_id)  # Somebody else may have been faster.
            if live is None and record is not None:
                live = self._live[task_id] = self.new(record)
        return live

    @asynccontextmanager
    async def holding(self, task_id: str) -> AsyncIterator[Live | None]:
        live = await self.find(task_id)
        if live is None:
            yield None
            return
        self.hold(live)
        try:
            yield live
        finally:
            self.drop(live)

    def idle(self, task_id: str) -> bool:
        """Nothing of this process works on the task or is about to."""
        live = self._live.get(task_id)
        return live is None or live.idle

    def unstarted(self, record: TaskRecord) -> None:
        """Whether the store has this message is not known; if it has, no container was called for it."""
        while len(self._unstarted) >= _MOST_UNSTARTED:
            del self._unstarted[next(iter(self._unstarted))]
        self._unstarted[record.id] = record.version

    def is_unstarted(self, record: TaskRecord) -> bool:
        return self._unstarted.get(record.id) == record.version

    def started(self, task_id: str) -> None:
        self._unstarted.pop(task_id, None)

    async def settled(self, live: Live, *, look_every: float) -> None:
        """Until the task has ended or waits for its client; any number may wait. Raises ConflictError: it is gone.

        While this process runs it, every change passes here. Otherwise a notification may be lost, so the store is
        looked at now and then.
        """
        while not live.record.state.settled:
            version = live.record.version
            await live.beyond(version, within=None if live.run is not None else look_every)
            if live.record.version == version and live.run is None:
                try:
                    there = await live.refresh(self.store)
                except StoreError as error:
                    log.info("task.not_refreshed", reason=str(error))
                    continue
                if not there:
                    raise ConflictError(f"there is no task {live.record.id} any more")

    async def apply(
        self,
        live: Live,
        updates: Sequence[Json],
        *,
        key: Key | None = None,
        holder: str | None = None,
        replica: str = "",
        at: int | None = None,
        patience: float = 0.0,
        waits: Callable[[], None] | None = None,
    ) -> Outcome:
        """Waits up to `patience` seconds for a store that is away, and calls `waits` first; for the others see `Write`.

        Raises StoreError.
        """
        before = live.record.state
        write = Write(updates, key=key, holder=holder, replica=replica, at=at)
        outcome = await until_written(
            lambda: live.apply(write, store=self.store, now=self.clock.now()), patience=patience, waits=waits
        )
        if live.record.state is not before and outcome is Outcome.ADVANCED:
            self.tell(live.record)
        if outcome is Outcome.ADVANCED and updates:
            if self._pusher is not None:
                self._pusher.wake()
            if live.record.state.settled:
                self.observer.settled(live.record.state)
        return outcome

    def tell(self, record: TaskRecord) -> None:
        if self._told is not None:
            self._told(record)

    async def fail(
        self, live: Live, text: str, *, replica: str = "", at: int | None = None, patience: float = FOR_EVER
    ) -> Outcome:
        failure = [responses.failed(text, clock=self.clock)]
        return await self.apply(live, failure, replica=replica, at=at, patience=patience)

    async def abandon(self, live: Live, text: str, *, patience: float = FOR_EVER) -> None:
        """As `fail`; an error is logged, because nobody waits for it."""
        try:
            await self.fail(live, text, patience=patience)
        except Exception:  # the store is away, or forgot the task; the next beat of a replica sees to the rest
            log.exception("task.abandoned", task=live.record.id)

    def changed_elsewhere(self, task_id: str) -> None:
        """Another replica may have changed it: whoever follows it here is to see that."""
        live = self._live.get(task_id)
        if live is not None and self.open:
            look = asyncio.ensure_future(live.refresh(self.store))
            self._looks.add(look)
            look.add_done_callback(self._looked)

    def _looked(self, look: "asyncio.Task[bool]") -> None:
        self._looks.discard(look)
        if not look.cancelled() and look.exception() is not None:
            log.warning("task.not_refreshed", reason=str(look.exception()))  # followers look again by themselves

    async def stop(self) -> None:
        for look in self._looks:
            look.cancel()
        if self._looks:
            await asyncio.wait(self._looks)
