"""Calls that travel as events: published through the broker, and made when the broker delivers them.

The event owns such a call, not the process that makes it: the process that gets the delivery claims the task, calls the
container and releases the task. A second delivery finds the claim and waits until the task settles, so that two
deliveries have one effect on the task; if the claiming process fails, the waiting one takes over. A container that
cannot be reached does not fail the task: the delivery is refused, and the broker retries it for as long as its policy
allows.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from uuid import NAMESPACE_URL, uuid5

import structlog

from lambdaagent import log_context
from lambdaagent.a2a import Json
from lambdaagent.a2a.states import Role, TaskState
from lambdaagent.a2a.tasks import new
from lambdaagent.api.skills import Skill
from lambdaagent.backoff import Backoff
from lambdaagent.cancellation import cancel
from lambdaagent.containers import context_ids, requests, responses
from lambdaagent.containers.call import NotTakenError
from lambdaagent.containers.callee import Callee, timeout
from lambdaagent.containers.turn import Origin, Turn
from lambdaagent.errors import LambdaAgentError, PermanentError, TemporaryError
from lambdaagent.events.cloudevents import Event
from lambdaagent.events.retry import number
from lambdaagent.httpclient.errors import RefusedMessageError
from lambdaagent.store.records import ANONYMOUS, TaskRecord
from lambdaagent.tasks.active_task import ActiveTask, EventOutcome
from lambdaagent.tasks.artifact_replacement import Replacing, unfinished
from lambdaagent.tasks.container_calls import GRACE, LIMITED, ContainerCalls
from lambdaagent.tasks.limits import EngineLimits
from lambdaagent.tasks.registry import ActiveTasks
from lambdaagent.tasks.storing import FOR_EVER

log = structlog.get_logger(__name__)

# Publishes the event to the agent's broker and returns once it is confirmed. Raises LambdaAgentError.
Send = Callable[[Callee, Event], Awaitable[None]]


class EventCalls:
    def __init__(
        self, *, active_tasks: ActiveTasks, calling: ContainerCalls, send: Send, limits: EngineLimits, replica: str
    ) -> None:
        self._active_tasks = active_tasks
        self._calling = calling
        self._send = send
        self._limits = limits
        self._replica = replica
        self._calls: set[asyncio.Task[None]] = set()

    async def send(
        self,
        active: ActiveTask,
        callee: Callee,
        skill: Skill,
        message: Json,
        *,
        origin: Origin,
        again: bool = False,
    ) -> None:
        """Publish the call, after which no replica holds the task; if that fails, fail the task with the reason.

        With `again`, an earlier gateway has accepted the task from its client, who does not wait here: the call is
        published until the task's deadline.
        """
        record = active.record
        event = requests.event_for(
            callee,
            skill=skill,
            message=message,
            task_id=record.id,
            context_id=context_ids.of_container(record.context_id, owner=record.owner),
            event_id=call_id(record),
            traceparent=origin.traceparent,
        )
        try:
            await self._publish(callee, event, record, until=record.deadline if again else 0.0)
        except LambdaAgentError as error:
            await self._active_tasks.fail(
                active, f"The call could not be sent as an event: {error}.", replica=self._replica
            )
            return
        if not active.record.state.settled:
            await self._active_tasks.apply(active, [], holder="", replica=self._replica, patience=FOR_EVER)

    async def _publish(self, callee: Callee, event: Event, record: TaskRecord, *, until: float) -> None:
        """Publish; while the broker is away, try again until then. Raises LambdaAgentError."""
        backoff = Backoff(first=0.5, cap=5.0)
        while True:
            try:
                return await self._send(callee, event)
            except TemporaryError as error:
                pause = backoff.next()
                if self._active_tasks.clock.now() + pause > until:
                    raise
                log.info("task.resend_failed", task=record.id, agent=callee.key, error=str(error))
            await asyncio.sleep(pause)

    async def take(self, event: Event, callee: Callee, skill: Skill) -> EventOutcome:
        """Make the call and return when the event has had its effect.

        Raises TemporaryError if it must be delivered again.

        FOREIGN: the event names a task of another agent, or names a task and is not that task's call: its producer set
        the id.
        """
        task_id = await self._task_of(event, callee, skill)
        async with self._active_tasks.holding(task_id) as active:
            if active is None:
                return EventOutcome.UNKNOWN
            record = active.record
            sent_here = event.source == callee.source or task_id != event.extensions.get("a2ataskid")
            if (record.namespace, record.agent) != (callee.namespace, callee.name) or not sent_here:
                return EventOutcome.FOREIGN
            while not active.record.state.settled:
                if event.source == callee.source and event.id != call_id(active.record):
                    return EventOutcome.DUPLICATE  # the call of an earlier turn
                version = active.record.version
                replaced = await self._unfinished(active.record)
                if await active.claim(
                    store=self._active_tasks.store,
                    now=self._active_tasks.clock.now(),
                    holder=self._replica,
                    without=replaced,
                ):
                    await self._call(active, event, callee, skill, Replacing(replaced))
                    return EventOutcome.ADVANCED
                await active.beyond(version, within=self._limits.look_every)
                if not await active.refresh(self._active_tasks.store):
                    return EventOutcome.UNKNOWN
            return EventOutcome.ENDED

    async def stop(self, *, grace: float) -> None:
        if self._calls and grace > 0:
            await asyncio.wait(self._calls, timeout=grace)
        await cancel(*self._calls)

    async def _task_of(self, event: Event, callee: Callee, skill: Skill) -> str:
        """Return the id of the event's task. An event without one creates a task, the same at each delivery."""
        given = event.extensions.get("a2ataskid")
        if isinstance(given, str) and given:
            return given
        active_tasks, now = self._active_tasks, self._active_tasks.clock.now()
        key = f"{callee.source}\0{event.source}\0{event.id}"
        task_id, context = str(uuid5(NAMESPACE_URL, key)), event.extensions.get("a2acontextid")
        context_id = context if isinstance(context, str) and context else active_tasks.clock.new_id()
        try:
            parts = responses.parts_of(event.datacontenttype or "", event.data) or [{"text": ""}]
        except ValueError as error:
            raise PermanentError(f"the event's data does not match its content type: {error}") from None
        metadata = {"skillId": skill.id, requests.DIRECT: event.datacontenttype or "application/octet-stream"}
        message = {"messageId": event.id, "role": str(Role.USER), "parts": parts, "metadata": metadata}
        record = TaskRecord(
            id=task_id,
            context_id=context_id,
            namespace=callee.namespace,
            agent=callee.name,
            skill=skill.id,
            owner=ANONYMOUS,
            version=0,
            state=TaskState.SUBMITTED,
            created=now,
            updated=now,
            task=new(task_id=task_id, context_id=context_id, message=message, state=TaskState.SUBMITTED, now=now),
            deadline=now + timeout(skill) + GRACE,
        )
        return await active_tasks.store.create(record, idempotency_key=f"event {uuid5(NAMESPACE_URL, key)}") or task_id

    async def _unfinished(self, record: TaskRecord) -> list[str]:
        """Return the ids of the artifacts that an interrupted attempt left."""
        if record.holder or "artifacts" not in record.task:
            return []
        return unfinished(await self._active_tasks.store.changes(record.id))

    async def _call(self, active: ActiveTask, event: Event, callee: Callee, skill: Skill, replacing: Replacing) -> None:
        """Run the call, which continues if its delivery is cancelled: the next delivery waits for the same end."""
        self._active_tasks.hold(active)
        run = self._run(active, event, callee, skill, replacing)
        call = asyncio.create_task(run, name=f"call {active.record.id}")
        active.run = call
        self._calls.add(call)
        call.add_done_callback(partial(self._ended, active))
        await asyncio.shield(call)

    def _ended(self, active: ActiveTask, call: asyncio.Task[None]) -> None:
        self._calls.discard(call)
        active.ended(call)
        self._active_tasks.drop(active)
        if not call.cancelled():
            call.exception()  # a waiting delivery has raised it; there may be none

    async def _run(self, active: ActiveTask, event: Event, callee: Callee, skill: Skill, replacing: Replacing) -> None:
        record = active.record
        log_context.task(record.id)
        attempt = event.extensions.get("attempt")
        turn = Turn(
            callee=callee,
            skill=skill,
            message=last_of_client(record) or {"parts": []},
            task_id=record.id,
            context_id=context_ids.of_container(record.context_id, owner=record.owner),
            timeout=max(0.1, record.deadline - self._active_tasks.clock.now() - GRACE),
            origin=Origin(owner=record.owner, traceparent=_text(event.extensions.get("traceparent"))),
            task=record.task,
            remote=record.remote,
            event_id=event.id,
            attempt=number(attempt, otherwise=1),
            again=True,
        )
        async with self._released(active):
            try:
                async with asyncio.timeout(turn.timeout + GRACE) as limit:
                    await self._calling.call(active, turn, replacing, limit)
            except LIMITED as error:
                await self._calling.given_up(active, turn, error)
            except RefusedMessageError as error:
                await self._calling.refused(active, error)

    @asynccontextmanager
    async def _released(self, active: ActiveTask) -> AsyncIterator[None]:
        """Release a task that has not settled: an event is awaited, or the same event is delivered again."""
        try:
            yield
        except NotTakenError as error:
            log.info("call.deliver_failed", task=active.record.id, error=str(error))
            raise
        finally:
            if not active.record.state.settled and active.record.holder == self._replica:
                # A stopping process cannot wait for an unreachable store; the next process recovers its tasks.
                patience = self._limits.patience if self._active_tasks.stopping else FOR_EVER
                await self._active_tasks.apply(active, [], holder="", replica=self._replica, patience=patience)


def call_id(record: TaskRecord) -> str:
    """Return the id of the event that calls for the newest message; it is the same however often it is sent."""
    turns = sum(1 for message in record.task.get("history", []) if message.get("role") == Role.USER)
    return f"{record.id}-{turns}"


def last_of_client(record: TaskRecord) -> Json | None:
    """Return the client's newest message, on which the agent is to work."""
    history = record.task.get("history", [])
    return next((message for message in reversed(history) if message.get("role") == Role.USER), None)


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
