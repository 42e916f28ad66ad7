"""Signs of life, recovery of tasks whose replica is gone, and pruning, each in a loop of its own.

Several replicas find the same orphaned tasks. Each writes the next version of the task and one write succeeds. That
replica starts the task again if its skill is idempotent, and otherwise fails it with the reason.

Hazard: a replica that is considered dead while it runs loses the responses of its calls. So a sign of life waits for no
other work and is repeated soon after a failure. While the store is unreachable no replica can give one: a replica
considers another one dead only after its own signs have reached the store for the length of a lease, without a gap in
which those of the other may have been lost.

A task that cannot be decrypted is left as it is, and the others are recovered. It is tried again each time, so that it
continues, or fails at its deadline, once its key is configured again.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial

import structlog

from lambdaagent.a2a.states import Role
from lambdaagent.cancellation import cancel
from lambdaagent.containers.callee import Callee, timeout
from lambdaagent.containers.turn import Origin
from lambdaagent.errors import TemporaryError
from lambdaagent.store.errors import SealedValueError, StoreError, TaskConflictError
from lambdaagent.store.records import DeadLetterStore, TaskRecord
from lambdaagent.tasks.active_task import without_artifacts
from lambdaagent.tasks.artifact_replacement import unfinished
from lambdaagent.tasks.container_calls import GRACE
from lambdaagent.tasks.event_calls import last_of_client
from lambdaagent.tasks.limits import EngineLimits
from lambdaagent.tasks.registry import ActiveTasks
from lambdaagent.tasks.retention import prune, prune_letters
from lambdaagent.tasks.runner import CallRunner

log = structlog.get_logger(__name__)

_LATE = "The task got no response in time."
_LOST = "The gateway lost track of the task while its store was unavailable; how the call ended is not known."
_RESTARTED = "The gateway was restarted while the task was running."
_MOST_SKIPPED = 10_000


class Recovery:
    def __init__(
        self,
        *,
        active_tasks: ActiveTasks,
        runner: CallRunner,
        lookup: Callable[[str, str], Callee | None],
        limits: EngineLimits,
        replica: str,
        letters: DeadLetterStore | None = None,
    ) -> None:
        """`lookup` raises TemporaryError if it does not know yet whether the agent exists.

        Old `letters` are deleted.
        """
        self._active_tasks = active_tasks
        self._runner = runner
        self._lookup = lookup
        self._limits = limits
        self._replica = replica
        self._letters = letters
        self._skipped: set[str] = set()  # tasks that cannot be decrypted
        self._tasks: list[asyncio.Task[None]] = []
        self._beating: asyncio.Task[None] | None = None
        self._missed = asyncio.Event()
        # When the last sign of life reached the store, and the first one in the series without a gap.
        self._last_beat: float | None = None
        self._first_beat = 0.0
        # Before its first sign of life this replica must hold no task: another one would take it over.
        self.begun = False

    async def start(self) -> None:
        try:
            await self.beat()
            await self.recover()
        except TemporaryError as error:
            log.warning("recovery.start_failed", error=str(error))
        self._beating = asyncio.create_task(self._beat_for_ever(), name="tasks-beat")
        pruning = partial(prune, self._active_tasks.store, clock=self._active_tasks.clock, limits=self._limits)
        self._tasks = [
            asyncio.create_task(self._every(self._limits.prune_every, pruning), name="tasks-prune"),
            asyncio.create_task(self._every(self._limits.prune_every, self._prune_letters), name="letters-prune"),
            asyncio.create_task(self._every(self._limits.beat_every, self.recover), name="tasks-recover"),
            asyncio.create_task(self._compare_after_misses(), name="tasks-compare"),
        ]

    async def stop(self) -> None:
        """End everything but the signs of life: calls that still run keep their tasks."""
        await cancel(*self._tasks)

    async def end_signs(self) -> None:
        """End the signs of life, after the last call has ended."""
        if self._beating is not None:
            await cancel(self._beating)

    async def recover(self) -> None:
        """Recover the tasks that this replica or dead ones held, and fail overdue ones. Raises StoreError."""
        store, now = self._active_tasks.store, self._active_tasks.clock.now()
        await self.compare()
        if self._may_judge():
            lease = self._limits.lease
            silent = f"The gateway that ran the task gave no sign of life for {lease:g} s."
            if dead := [holder for holder in await store.expired_replicas() if holder != self._replica]:
                for record in await store.unsettled(holders=dead):
                    # Asked again: the store may have been unreachable while it was read.
                    if self._may_judge():
                        async with self._unless_unreadable(record.id):
                            await self._take_over(record, why=silent if store.shared else _RESTARTED)
        # A holder whose store was unreachable gets time to write its results.
        held_before = now - 2 * self._limits.lease if self._may_judge() else 0.0
        for record in await store.overdue(now=now, held_before=held_before):
            if self._active_tasks.idle(record.id):
                async with self._unless_unreadable(record.id):
                    await self._fail(record, _LATE)

    def missed(self) -> None:
        """Compare with the store soon, because notifications of changes may have been lost."""
        self._missed.set()

    async def compare(self) -> None:
        """Compare the tasks that the store assigns to this replica with those that it works on. Raises StoreError."""
        active_tasks, store = self._active_tasks, self._active_tasks.store
        held = await store.held(self._replica)
        for active in active_tasks.all():
            mine = active.run is not None and active.record.holder == self._replica and not active.record.state.settled
            if mine and active.record.id not in held:
                async with self._unless_unreadable(active.record.id):
                    await active.refresh(store)  # ended or taken over elsewhere: its call is cancelled
        for task_id in held:
            if active_tasks.idle(task_id):
                async with self._unless_unreadable(task_id):
                    await self._resume(task_id)

    async def _resume(self, task_id: str) -> None:
        active_tasks = self._active_tasks
        record = await active_tasks.store.get(task_id)
        if record is None or record.holder != self._replica or record.state.settled or not active_tasks.idle(task_id):
            return
        if active_tasks.is_unstarted(record):
            await self._start(record)
        else:
            await self._take_over(record, why=_LOST)

    @asynccontextmanager
    async def _unless_unreadable(self, task_id: str) -> AsyncIterator[None]:
        """Leave a task that cannot be decrypted, so that the next ones are recovered. It is logged once."""
        try:
            yield
        except SealedValueError as error:
            if task_id not in self._skipped:
                if len(self._skipped) >= _MOST_SKIPPED:
                    self._skipped.clear()
                self._skipped.add(task_id)
                log.warning("recovery.task_skipped", task=task_id, error=str(error))

    async def _prune_letters(self) -> None:
        if self._letters is not None:
            await prune_letters(self._letters, clock=self._active_tasks.clock, limits=self._limits)

    async def beat(self) -> None:
        """Write a sign of life. Raises StoreError."""
        loop = asyncio.get_running_loop()
        try:
            await self._active_tasks.store.beat(self._replica, seconds=self._limits.lease)
        except StoreError:
            self._last_beat = None
            raise
        now = loop.time()
        if self._last_beat is None or now - self._last_beat > self._limits.lease / 2:
            self._first_beat = now
        self._last_beat = now
        self.begun = True

    def _may_judge(self) -> bool:
        if not self._active_tasks.store.shared:
            return True
        now = asyncio.get_running_loop().time()
        steady = self._last_beat is not None and now - self._last_beat <= self._limits.lease / 2
        return steady and now - self._first_beat >= self._limits.lease

    async def _start(self, record: TaskRecord) -> None:
        """Start a task whose message was stored although the answer was lost; no container was called for it."""
        try:
            callee = self._lookup(record.namespace, record.agent)
        except TemporaryError:
            return
        message = last_of_client(record)
        if callee is None or message is None:
            return  # fails at its deadline
        log.info("task.started_late", task=record.id, agent=callee.key)
        async with self._active_tasks.holding(record.id) as active:
            if active is None:
                return
            if active.record.version != record.version:
                await active.refresh(self._active_tasks.store)
            if not active.idle or active.record.version != record.version:
                return
            skill = callee.skills.get(record.skill) if record.skill is not None else None
            self._runner.dispatch(active, callee, skill, message, origin=Origin(owner=record.owner))

    async def _take_over(self, record: TaskRecord, *, why: str) -> None:
        """Raises SealedValueError if the task cannot be decrypted."""
        if record.unreadable:
            raise SealedValueError(record.unreadable)
        try:
            callee = self._lookup(record.namespace, record.agent)
        except TemporaryError:
            return  # the agent is not known here yet
        skill = callee.skills.get(record.skill) if callee is not None and record.skill is not None else None
        message, now = last_of_client(record), self._active_tasks.clock.now()
        if callee is None and now < record.deadline:
            return
        # A call that travels as an event is sent again under the same id, by which a second delivery is recognised.
        idempotent = skill is not None and (skill.is_async or skill.invocation.idempotent)
        log.info("task.orphaned", task=record.id, agent=f"{record.namespace}/{record.agent}", retried=idempotent)
        if callee is None or not idempotent or message is None:
            await self._fail(record, why)
            return
        replaced = unfinished(await self._active_tasks.store.changes(record.id))
        messages = [each for each in record.task.get("history", []) if each.get("role") == Role.USER]
        again = replace(
            record,
            version=record.version + 1,
            task=without_artifacts(record.task, replaced),
            holder=self._replica,
            updated=now,
            deadline=now + timeout(skill) + GRACE,
            # A task that the container created for the interrupted attempt is not continued.
            remote=record.remote if len(messages) > 1 else "",
        )
        async with self._active_tasks.holding(record.id) as active:
            if active is None or not active.idle:
                return
            active.starting += 1
            try:
                async with active.turning:
                    await active.put(again, updates=[], store=self._active_tasks.store)
            except TaskConflictError:
                return
            finally:
                active.starting -= 1
            self._runner.dispatch(
                active, callee, skill, message, origin=Origin(owner=record.owner), replaced=replaced, again=True
            )

    async def _fail(self, record: TaskRecord, text: str) -> None:
        """Fail the task unless it has changed since it was read."""
        async with self._active_tasks.holding(record.id) as active:
            if active is None:
                return
            try:
                if active.record.version < record.version:
                    await active.refresh(self._active_tasks.store)
                await self._active_tasks.fail(active, text, at=record.version, patience=0.0)
            except TaskConflictError:
                log.info("task.pruned", task=record.id)

    async def _compare_after_misses(self) -> None:
        while True:
            await self._missed.wait()
            self._missed.clear()
            try:
                await self.compare()
            except TemporaryError as error:
                log.warning("recovery.compare_failed", error=str(error))  # the next `recover` compares
            except Exception:  # the outermost handler of this asyncio task
                self._active_tasks.observer.crashed()
                log.exception("recovery.compare_crashed")

    async def _beat_for_ever(self) -> None:
        while True:
            away = self._last_beat is None
            await asyncio.sleep(self._limits.beat_every / (6 if away else 1))
            try:
                await self.beat()
            except TemporaryError as error:
                if not away:
                    log.warning("heartbeat.failed", error=str(error))
            except Exception:  # the outermost handler of this asyncio task
                self._active_tasks.observer.crashed()
                log.exception("heartbeat.crashed")

    async def _every(self, seconds: float, work: Callable[[], Awaitable[object]]) -> None:
        while True:
            await asyncio.sleep(seconds)
            try:
                await work()
            except TemporaryError as error:
                log.warning("recovery.failed", error=str(error))
            except Exception:  # the outermost handler of this asyncio task
                self._active_tasks.observer.crashed()
                log.exception("recovery.crashed")
