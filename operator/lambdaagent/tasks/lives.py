"""The tasks that this process is busy with, one Live each however many want it, and every change that it makes.

Whoever holds a Live keeps it here; the last one to let go forgets it, for what matters is in the store.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Protocol

import structlog

from lambdaagent.a2a import Json
from lambdaagent.a2a.states import TaskState
from lambdaagent.agents import answers
from lambdaagent.agents.clock import Clock
from lambdaagent.store.records import Key, TaskRecord, TaskStore
from lambdaagent.tasks.live import Live, Outcome
from lambdaagent.tasks.pushing import Pusher

log = structlog.get_logger(__name__)


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
    ) -> None:
        """`told` hears of every new state of a task, after it is stored."""
        self._told = told
        self.store = store
        self.clock = clock
        self.observer = observer
        # While closed, a task that was cut short is kept, for `stop` to fail.
        self.open = False
        self._pusher = pusher
        self._live: dict[str, Live] = {}
        self._looks: set[asyncio.Task[None]] = set()

    def known(self, task_id: str) -> Live | None:
        return self._live.get(task_id)

    def all(self) -> list[Live]:
        return list(self._live.values())

    def hold(self, live: Live) -> None:
        self._live[live.record.id] = live
        live.holders += 1

    def drop(self, live: Live) -> None:
        live.holders -= 1
        if not live.holders and (live.record.state.settled or self.open):
            self._live.pop(live.record.id, None)

    def forget(self, live: Live) -> None:
        """It came to nothing: the store does not have it."""
        self._live.pop(live.record.id, None)

    async def find(self, task_id: str) -> Live | None:
        live = self._live.get(task_id)
        if live is None:
            record = await self.store.get(task_id)
            live = self._live.get(task_id)  # Somebody else may have been faster.
            if live is None and record is not None:
                live = self._live[task_id] = Live(record)
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

    async def apply(
        self, live: Live, updates: Sequence[Json], *, key: Key | None = None, holder: str | None = None
    ) -> Outcome:
        """Raises StoreError: then nothing happened."""
        before = live.record.state
        outcome = await live.apply(updates, store=self.store, now=self.clock.now(), key=key, holder=holder)
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

    async def fail(self, live: Live, text: str) -> Outcome:
        return await self.apply(live, [answers.failed(text, clock=self.clock)])

    async def abandon(self, live: Live, text: str) -> None:
        """As `fail`, where nobody could be told that even this does not work."""
        try:
            await self.fail(live, text)
        except Exception:  # the store failed, or had the task's end already; the next start sees to the rest
            log.exception("task.abandoned", task=live.record.id)

    def changed_elsewhere(self, task_id: str) -> None:
        """Another replica may have changed it: whoever follows it here is to see that."""
        live = self._live.get(task_id)
        if live is not None and self.open:
            look = asyncio.ensure_future(live.refresh(self.store))
            self._looks.add(look)
            look.add_done_callback(self._looked)

    def _looked(self, look: "asyncio.Task[None]") -> None:
        self._looks.discard(look)
        if not look.cancelled() and look.exception() is not None:
            log.warning("task.not_refreshed", reason=str(look.exception()))  # followers look again by themselves

    async def stop(self) -> None:
        for look in self._looks:
            look.cancel()
        if self._looks:
            await asyncio.wait(self._looks)
