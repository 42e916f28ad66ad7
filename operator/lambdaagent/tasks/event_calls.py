"""Calls that travel as events: sent out through the broker, and made when the broker delivers them (design section 4).

The event is the owner of such a call, not the process that makes it: whoever gets it delivered claims its task, calls
the container and lets go. A second delivery finds the claim and waits for what becomes of it, so that two deliveries
are one effect on the task; if the claimer dies, the waiting one takes over. A container that cannot be reached is not a
failure of the task yet: the delivery is refused, and the broker tries again for as long as its patience lasts.
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
from lambdaagent.api.a2a import Skill
from lambdaagent.cancellation import cancel
from lambdaagent.containers import requests, responses
from lambdaagent.containers.call import NotTakenError
from lambdaagent.containers.callee import Callee, timeout
from lambdaagent.containers.turn import Turn
from lambdaagent.errors import LambdaAgentError, PermanentError
from lambdaagent.events.cloudevents import Event
from lambdaagent.events.retry import number
from lambdaagent.httpclient.errors import RefusedMessageError
from lambdaagent.store.records import ANONYMOUS, TaskRecord
from lambdaagent.tasks.active_task import ActiveTask, EventOutcome
from lambdaagent.tasks.calling import GRACE, LIMITED, ContainerCalls
from lambdaagent.tasks.limits import EngineLimits
from lambdaagent.tasks.registry import ActiveTasks
from lambdaagent.tasks.replacing import Replacing, unfinished
from lambdaagent.tasks.storing import FOR_EVER

log = structlog.get_logger(__name__)

# Gives the event to the agent's broker; returns once it is confirmed. Raises LambdaAgentError.
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
        self, active: ActiveTask, callee: Callee, skill: Skill, message: Json, *, traceparent: str | None
    ) -> None:
        """The task's call is with the broker, and nobody holds the task; or it failed and says why."""
        record = active.record
        event = requests.event_for(
            callee,
            skill=skill,
            message=message,
            task_id=record.id,
            context_id=record.context_id,
            event_id=call_id(record),
            traceparent=traceparent,
        )
        try:
            await self._send(callee, event)
        except LambdaAgentError as error:
            await self._active_tasks.fail(
                active, f"The call could not be sent as an event: {error}.", replica=self._replica
            )
            return
        if not active.record.state.settled:
            await self._active_tasks.apply(active, [], holder="", replica=self._replica, patience=FOR_EVER)

    async def take(self, event: Event, callee: Callee, skill: Skill) -> EventOutcome:
        """Returns when the event has had its effect. Raises TemporaryError: it is to be delivered again.

        FOREIGN: it speaks of a task and is not that task's call; somebody correlates an event of his own.
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
                    return EventOutcome.DUPLICATE  # of an earlier turn
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
        """An event that nobody made a task for opens one, the same however often it comes."""
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
            raise PermanentError(f"the event's data is not what its type says: {error}") from None
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
        """Artifacts of an attempt that was cut short."""
        if record.holder or "artifacts" not in record.task:
            return []
        return unfinished(await self._active_tasks.store.changes(record.id))

    async def _call(self, active: ActiveTask, event: Event, callee: Callee, skill: Skill, replacing: Replacing) -> None:
        """Goes on when whoever delivered the event goes away: the next delivery of it waits for the same end."""
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
            call.exception()  # whoever waited has it; nobody may be waiting any more

    async def _run(self, active: ActiveTask, event: Event, callee: Callee, skill: Skill, replacing: Replacing) -> None:
        record = active.record
        log_context.task(record.id)
        attempt = event.extensions.get("attempt")
        turn = Turn(
            callee=callee,
            skill=skill,
            message=last_of_client(record) or {"parts": []},
            task_id=record.id,
            context_id=record.context_id,
            timeout=max(0.1, record.deadline - self._active_tasks.clock.now() - GRACE),
            traceparent=_text(event.extensions.get("traceparent")),
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
        """What has not settled is nobody's afterwards: an event is awaited, or the same one comes again."""
        try:
            yield
        except NotTakenError as error:
            log.info("call.not_taken", task=active.record.id, reason=str(error))
            raise
        finally:
            if not active.record.state.settled and active.record.holder == self._replica:
                # A process that stops cannot wait for a store that is away; the next one sees to what it left.
                patience = self._limits.patience if self._active_tasks.stopping else FOR_EVER
                await self._active_tasks.apply(active, [], holder="", replica=self._replica, patience=patience)


def call_id(record: TaskRecord) -> str:
    """Of the event that calls for the newest message: the same however often it is sent."""
    turns = sum(1 for message in record.task.get("history", []) if message.get("role") == Role.USER)
    return f"{record.id}-{turns}"


def last_of_client(record: TaskRecord) -> Json | None:
    """The message that the agent is to work on."""
    history = record.task.get("history", [])
    return next((message for message in reversed(history) if message.get("role") == Role.USER), None)


def is_async(skill: Skill | None) -> bool:
    """Whether a call of this skill is an event."""
    return skill is not None and skill.invoke is not None and skill.invoke.mode == "async"


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
