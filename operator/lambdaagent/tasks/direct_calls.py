"""Direct skill calls that become tasks: a container that answers 202 goes on by itself, and its event ends the task.

A direct call has no task, so that it costs no write; it carries the ids of the one that it would have. The task is made
when the container answers 202, or when its event comes before that; what an event made for a call that is then answered
otherwise ends with the answer.

Hazard: an event that another replica receives before the container answers 202 finds no task there. It is looked for
again for a moment, which is enough where the container answers before it begins to work.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog

from lambdaagent.a2a import Json
from lambdaagent.a2a.states import TaskState
from lambdaagent.a2a.tasks import agent_message, fold, new, status_update
from lambdaagent.api.a2a import Skill
from lambdaagent.containers.callee import Callee, timeout
from lambdaagent.store.errors import StoreError, TaskConflictError
from lambdaagent.store.records import TaskRecord
from lambdaagent.tasks.calling import GRACE
from lambdaagent.tasks.limits import EngineLimits
from lambdaagent.tasks.registry import ActiveTasks
from lambdaagent.tasks.requests import Requester
from lambdaagent.tasks.storing import until_written

log = structlog.get_logger(__name__)

_LOOKS = (0.1, 0.3, 0.6)  # seconds between looks for a task that an event names and nobody knows


@dataclass(frozen=True, slots=True)
class DirectCall:
    """`message` makes the client's message of the body; it is called only where there is to be a task."""

    callee: Callee
    skill: Skill
    task_id: str  # also of its context
    message: Callable[[], Json]
    client: Requester


class DirectCalls:
    def __init__(self, *, active_tasks: ActiveTasks, limits: EngineLimits) -> None:
        self._active_tasks = active_tasks
        self._limits = limits
        # By the id that the container got, what makes the call known; whoever calls puts it here and takes it away.
        self.under_way: dict[str, Callable[[], DirectCall]] = {}
        # Of these, the ones whose task an event makes or has made; held while it is made.
        self._made: dict[str, asyncio.Lock] = {}

    async def accepted(self, call: DirectCall, said: Sequence[Json]) -> TaskRecord:
        """The task of a call that the container accepted; `said` are the parts of its answer. Raises StoreError."""
        active_tasks = self._active_tasks
        now, message = active_tasks.clock.now(), call.message()
        state = TaskState.WORKING
        task = new(task_id=call.task_id, context_id=call.task_id, message=message, state=state, now=now)
        if said:
            words = agent_message(list(said), message_id=active_tasks.clock.new_id())
            task = fold(task, status_update(state, now=now, message=words))
        record = TaskRecord(
            id=call.task_id,
            context_id=call.task_id,
            namespace=call.callee.namespace,
            agent=call.callee.name,
            skill=call.skill.id,
            owner=call.client.owner,
            version=0,
            state=state,
            created=now,
            updated=now,
            task=task,
            deadline=now + timeout(call.skill) + GRACE,
        )
        try:
            await until_written(lambda: active_tasks.store.create(record), patience=self._limits.patience)
        except TaskConflictError:
            # Its event was faster, or the answer to the write was lost.
            return await active_tasks.store.get(record.id) or record
        active_tasks.tell(record)
        return record

    def over(self, task_id: str) -> None:
        del self.under_way[task_id]
        self._made.pop(task_id, None)

    async def answered(self, task_id: str, failure: str = "") -> None:
        """The caller has what came of the call: a task that an event made meanwhile ends with it.

        The container said by its answer that nothing follows, so nobody else would end it before its time is over.
        """
        making = self._made.pop(task_id, None)
        if making is None:
            return
        active_tasks = self._active_tasks
        async with making, active_tasks.holding(task_id) as active:
            if active is None or active.record.state.settled:
                return
            text = failure or "The caller got the answer directly."
            message = agent_message([{"text": text}], message_id=active_tasks.clock.new_id())
            state = TaskState.FAILED if failure else TaskState.COMPLETED
            try:
                update = status_update(state, now=active_tasks.clock.now(), message=message)
                await active_tasks.apply(active, [update], patience=self._limits.patience)
            except StoreError as error:
                log.info("task.not_ended", task=task_id, reason=str(error))  # it fails when its time is over

    async def appeared(self, task_id: str, *, sender: tuple[str, str]) -> None:
        """Waits a moment for a task that is not there, or makes it for an agent that may advance it.

        Raises StoreError.
        """
        known = self.under_way.get(task_id)
        if known is not None:
            call = known()
            if sender != (call.callee.namespace, call.callee.name) and sender not in call.callee.forwards:
                return
            async with self._made.setdefault(task_id, asyncio.Lock()):
                await self.accepted(call, ())
            return
        for pause in _LOOKS:
            await asyncio.sleep(pause)
            if task_id in self.under_way or await self._active_tasks.find(task_id) is not None:
                return
