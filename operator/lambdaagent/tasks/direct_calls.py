"""Direct skill calls that become tasks: after a 202 the container works on, and an event from it ends the task.

A direct call has no task, so that it costs no write; it carries the ids that its task would have. The task is created
when the container answers 202, or when its event arrives earlier. If an event created the task and the container then
gives another answer, that answer ends the task.

Hazard: an event that another replica receives before the container answers 202 finds no task there. The replica looks
for the task again for about a second, which is enough if the container answers before it begins to work.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog

from lambdaagent.a2a import Json
from lambdaagent.a2a.states import TaskState
from lambdaagent.a2a.tasks import agent_message, fold, new, status_update
from lambdaagent.api.skills import Skill
from lambdaagent.containers.callee import Callee, timeout
from lambdaagent.store.errors import StoreError, TaskConflictError
from lambdaagent.store.records import TaskRecord
from lambdaagent.tasks.container_calls import GRACE
from lambdaagent.tasks.limits import EngineLimits
from lambdaagent.tasks.registry import ActiveTasks
from lambdaagent.tasks.requests import Requester
from lambdaagent.tasks.storing import until_written

log = structlog.get_logger(__name__)

_LOOKS = (0.1, 0.3, 0.6)  # seconds before each look for a task that an event names and the store lacks


@dataclass(frozen=True, slots=True)
class DirectCall:
    """A direct call in progress. `message` builds the client's message from the body; it is called only for a task."""

    callee: Callee
    skill: Skill
    task_id: str  # also the id of its context
    message: Callable[[], Json]
    client: Requester


class DirectCalls:
    def __init__(self, *, active_tasks: ActiveTasks, limits: EngineLimits) -> None:
        self._active_tasks = active_tasks
        self._limits = limits
        # By the task id that the container got, a function that returns the call. An entry exists while its call runs.
        self.under_way: dict[str, Callable[[], DirectCall]] = {}
        # Locks of the calls whose task an event creates or has created; each is held during the creation.
        self._made: dict[str, asyncio.Lock] = {}

    async def accepted(self, call: DirectCall, said: Sequence[Json]) -> TaskRecord:
        """Create the task of a call that the container accepted; `said` are the parts of its response.

        Raises StoreError.
        """
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
            # An event created the task first, or the answer to an earlier attempt was lost.
            return await active_tasks.store.get(record.id) or record
        active_tasks.tell(record)
        return record

    def over(self, task_id: str) -> None:
        del self.under_way[task_id]
        self._made.pop(task_id, None)

    async def answered(self, task_id: str, failure: str = "") -> None:
        """End the task that an event created during a call to which the caller now has the response.

        The response means that the container sends nothing more, so the task would otherwise stay open until its
        deadline.
        """
        making = self._made.pop(task_id, None)
        if making is None:
            return
        active_tasks = self._active_tasks
        async with making, active_tasks.holding(task_id) as active:
            if active is None or active.record.state.settled:
                return
            text = failure or "The caller received the response directly."
            message = agent_message([{"text": text}], message_id=active_tasks.clock.new_id())
            state = TaskState.FAILED if failure else TaskState.COMPLETED
            try:
                update = status_update(state, now=active_tasks.clock.now(), message=message)
                await active_tasks.apply(active, [update], patience=self._limits.patience)
            except StoreError as error:
                log.info("task.end_failed", task=task_id, error=str(error))  # it fails at its deadline

    async def appeared(self, task_id: str, *, sender: tuple[str, str]) -> None:
        """Wait about a second for a task that does not exist, or create it if its direct call runs here.

        It is created only if `sender` may advance it. Raises StoreError.
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
